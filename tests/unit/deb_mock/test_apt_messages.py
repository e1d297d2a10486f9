"""What apt said, as apt 2.6 says it."""

import pytest

from deb_mock.archives.apt_output import downloads, explain, removals, unmet_relations
from deb_mock.dependencies.explanation import satisfies
from deb_mock.failures import FailureClass
from deborch_shared.apt.unmet import Why, quarrels, unmet_lines
from deborch_shared.errors import ErrorCode

UNMET = """\
Reading package lists...
Building dependency tree...
Some packages could not be installed. This may mean that you have
requested an impossible situation or if you are using the unstable
distribution that some required packages have not yet been created
or been moved out of Incoming.
The following information may help to resolve the situation:

The following packages have unmet dependencies:
 builddeps:/build/x_1.dsc : Depends: no-such-package but it is not installable
                            Depends: debhelper (>= 9999) but 13.11.4 is to be installed
                            Depends: libfoo-dev but it is not going to be installed
                            Depends: mail-reader but it is a virtual package
                            Conflicts: make
E: Unable to correct problems, you have held broken packages.
"""


def test_every_unmet_relation_is_listed_once_in_order():
    assert unmet_relations(UNMET + UNMET) == (
        "no-such-package",
        "debhelper (>= 9999)",
        "libfoo-dev",
        "mail-reader",
        "!make",
    )


def test_unmet_relations_are_a_dep_wait_with_the_list():
    error = explain(UNMET, doing="resolving", otherwise=FailureClass.CHROOT)
    assert error.code is ErrorCode.DEPENDENCY_WAIT
    assert error.fields["missing"][0] == "no-such-package"


def test_an_unreachable_archive_is_a_fetch_fault():
    said = "E: Failed to fetch http://mirror.example.org/x.deb  Could not connect to mirror.example.org:80"
    assert explain(said, doing="x", otherwise=FailureClass.CHROOT).fields["failure_class"] == "fetch-fault"


def test_anything_else_is_what_the_caller_says():
    said = "dpkg: error processing package broken (--configure): postinst returned 3"
    assert explain(said, doing="x", otherwise=FailureClass.INSTALL).fields["failure_class"] == "install"


def test_downloads_are_sorted_and_free_of_addresses():
    printed = """\
Reading package lists...
'http://mirror.example.org/debian/pool/main/b/b_2_amd64.deb' b_2_amd64.deb 20 SHA256:bb
'http://mirror.example.org/debian/pool/main/a/a_1%3a1_amd64.deb' a_1%3a1_amd64.deb 10 SHA256:aa
"""
    assert downloads(printed) == (("a_1%3a1_amd64.deb", "10", "SHA256:aa"), ("b_2_amd64.deb", "20", "SHA256:bb"))
    assert downloads("Reading package lists...\n") == ()


def test_alternatives_that_are_all_refused_are_one_relation():
    refused = "Depends: libfoo-dev but it is not going to be installed"
    said = UNMET.replace(refused, f"{refused} or\n{' ' * 37}libbar-dev but it is not installable")
    assert "libfoo-dev | libbar-dev" in unmet_relations(said)


def test_each_unmet_relation_has_its_package_and_reason():
    said = UNMET.replace("E: Unable", " libfoo-dev : Depends: libfoo1 (= 2) but 1 is to be installed\nE: Unable")
    lines = list(unmet_lines(said))
    assert [line.why for line in lines] == [
        Why.MISSING,
        Why.VERSION,
        Why.UNINSTALLABLE,
        Why.MISSING,
        Why.CONFLICT,
        Why.VERSION,
    ]
    assert [line.package for line in lines][-2:] == ["builddeps:/build/x_1.dsc", "libfoo-dev"]
    assert lines[-1].relation == "libfoo1 (= 2)"


def test_what_the_problem_resolver_found_at_odds_is_told_once():
    said = "Starting\nBroken a:amd64 Conflicts on b:amd64 < none -> 1 @un uN Ib >\n" * 2
    assert quarrels(said) == ("a:amd64 conflicts b:amd64",)


def test_packages_of_the_base_that_would_go_are_found():
    said = "x\nThe following packages will be REMOVED:\n  make* build-essential\nThe following NEW packages: x\n  y\n"
    assert removals(said) == ("build-essential", "make")


@pytest.mark.parametrize(
    ("version", "relation", "fits"),
    [
        ("1.0", "x", True),
        ("1.0", "x (>= 1.0)", True),
        ("1:0.5", "x (>= 1.0)", True),
        ("1.0~rc1", "x (>= 1.0)", False),
        ("1.0", "x:any (<< 1.0)", False),
        ("1.0", "x (= 1.0-0)", True),
    ],
)
def test_versions_are_compared_as_dpkg_does(version, relation, fits):
    assert satisfies(version, relation) is fits
