"""What a request means for a source package: commands, environment, versions, names; and requests that are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from debian.changelog import Changelog

from deb_mock.host.defaults import default_jobs
from deb_mock.model import BuildRequest, ChangedVersion
from deb_mock.plans import build_plan, profiles, relations
from deb_mock.plans.build_plan import BuildPlan
from deborch_shared.errors import DeborchError
from deborch_shared.sources import SourceDescription

SOURCE = SourceDescription(
    name="x",
    version="2:1.0-3",
    format="3.0 (quilt)",
    architectures=("any",),
    files=(),
    binaries=("x",),
    maintainer="",
    relations={"Build-Depends": "a | b, c [linux-any] <!nocheck>", "Build-Depends-Indep": "d"},
    is_signed=False,
)
REQUEST = BuildRequest("b", Path("x.dsc"), Path(), "bookworm", "amd64", Path("r"), parallel=3)
BINNMU = ChangedVersion("M <m@example.org>", 1_767_225_600, binnmu=2, text="Rebuild against libfoo2.")


def plan(**changes: object):
    return BuildPlan(replace(REQUEST, **changes), SOURCE)


def command(**changes: object):
    return build_plan.command(plan(**changes).request)


def environment(**changes: object):
    return build_plan.environment(plan(**changes).request)


@pytest.mark.parametrize(
    ("mode", "flag", "changes"),
    [
        ("any+all", "-b", "x_1.0-3_amd64.changes"),
        ("any", "-B", "x_1.0-3_amd64.changes"),
        ("all", "-A", "x_1.0-3_all.changes"),
        ("source", "-S", "x_1.0-3_source.changes"),
        ("full", "-F", "x_1.0-3_amd64.changes"),
    ],
)
def test_each_mode_has_its_flag_and_its_name_of_the_changes(mode, flag, changes):
    assert flag in build_plan.command(plan(mode=mode).request)
    assert plan(mode=mode).changes_name == changes


def test_jobs_are_offered_to_the_package_and_not_forced_on_make():
    assert "-J3" in command()
    assert environment() == {"DEB_BUILD_OPTIONS": "parallel=3"}
    assert environment(build_options=("parallel=7", "terse")) == {"DEB_BUILD_OPTIONS": "parallel=7 terse"}


def test_a_profile_brings_the_build_option_that_belongs_to_it():
    asked = plan(profiles=("nocheck", "nodoc"), build_options=("nocheck",))
    assert "-Pnocheck,nodoc" in build_plan.command(asked.request)
    assert build_plan.environment(asked.request)["DEB_BUILD_OPTIONS"] == "parallel=3 nocheck nodoc"


def test_a_cross_build_says_for_what_and_does_not_run_tests():
    asked = plan(host_architecture="arm64", mode="any")
    assert build_plan.command(asked.request)[build_plan.command(asked.request).index("-a") + 1] == "arm64"
    assert "-Pcross,nocheck" in build_plan.command(asked.request)
    assert build_plan.environment(asked.request)["DEB_BUILD_OPTIONS"] == "parallel=3 nocheck"
    assert build_plan.environment(asked.request)["CONFIG_SITE"] == "/etc/dpkg-cross/cross-config.arm64"
    assert asked.changes_name == "x_1.0-3_arm64.changes"


def test_the_same_host_architecture_is_no_cross_build():
    assert command(host_architecture="amd64") == command()


@pytest.mark.parametrize(
    ("version", "changed", "new"),
    [
        ("1.0-3", BINNMU, "1.0-3+b2"),
        ("1.0-3+b1", BINNMU, "1.0-3+b2"),
        ("1.0-3", replace(BINNMU, append="~bpo12+1"), "1.0-3+b2~bpo12+1"),
        ("1.0-3", replace(BINNMU, binnmu=None, append="+local1"), "1.0-3+local1"),
    ],
)
def test_a_changed_version_is_made_as_sbuild_makes_it(version, changed, new):
    assert build_plan.changed_version(version, changed) == new


def test_the_entry_of_a_binnmu_is_binary_only_and_can_be_read_back():
    entry = Changelog(plan(changed_version=BINNMU).changelog_entry, strict=True)[0]
    assert (entry.package, str(entry.version), entry.distributions) == ("x", "2:1.0-3+b2", "bookworm")
    assert entry.other_pairs == {"binary-only": "yes"}
    assert (entry.author, entry.date) == ("M <m@example.org>", "Thu, 01 Jan 2026 00:00:00 +0000")
    text = "\n".join(entry.changes())
    assert "Binary-only non-maintainer upload for amd64; no source changes." in text
    assert "  * Rebuild against libfoo2." in text


@pytest.mark.parametrize(
    "changes",
    [
        {"profiles": ("no check",)},
        {"profiles": ("nocheck,nodoc",)},
        {"build_options": ("no check",)},
        {"build_options": ("-x",)},
        {"dpkg_options": ("x",)},
        {"host_architecture": "../x"},
        {"architecture": "-x"},
        {"add_depends": ("a\nEvil: b",)},
        {"changed_version": replace(BINNMU, maintainer="")},
        {"changed_version": replace(BINNMU, maintainer="M <m@x>\n\nevil (1) x; urgency=low")},
        {"changed_version": replace(BINNMU, text="")},
        {"changed_version": replace(BINNMU, binnmu=0)},
        {"changed_version": replace(BINNMU, append="-x y")},
        {"changed_version": BINNMU, "mode": "source"},
        {"changed_version": BINNMU, "mode": "all"},
    ],
)
def test_what_no_build_can_be_made_of_is_refused_with_a_hint(changes):
    build_plan.check(REQUEST)
    with pytest.raises(DeborchError) as caught:
        build_plan.check(replace(REQUEST, **changes))
    assert caught.value.fields["failure_class"] == "policy"
    assert caught.value.hint


def test_only_profiles_that_nobody_registered_are_unknown():
    assert profiles.unknown(("nocheck", "stage1", "pkg.x.mine", "nochek", "pkg.x")) == ("nochek", "pkg.x")


def test_added_relations_are_met_beside_those_of_the_source():
    request = replace(REQUEST, add_depends=("e (>= 2)",), add_conflicts=("f",))
    assert relations.wanted(SOURCE, request) == {
        "Build-Depends": "a | b, c [linux-any] <!nocheck>, e (>= 2)",
        "Build-Depends-Indep": "d",
        "Build-Conflicts": "f",
    }


def test_only_the_first_alternative_is_met_if_so_asked():
    request = replace(REQUEST, first_alternative=True)
    assert relations.wanted(SOURCE, request)["Build-Depends"] == "a, c [linux-any] <!nocheck>"


def test_making_a_source_package_needs_no_more_than_build_depends():
    assert set(relations.wanted(SOURCE, replace(REQUEST, mode="source"))) == {"Build-Depends"}


def test_jobs_are_as_many_as_there_is_memory_for(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable:    1048576 kB\n")
    assert default_jobs(meminfo) == 1
    meminfo.write_text("MemAvailable:  999999999 kB\n")
    assert default_jobs(meminfo) >= 1
