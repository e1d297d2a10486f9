"""Rules of the engine that need no root: exit codes, names, repositories, recipes, the log limit."""

from dataclasses import replace
from pathlib import Path

import pytest

from deb_mock.archives.repositories import check_repositories, file_repositories
from deb_mock.bases.recipe import BaseRecipe
from deb_mock.buildroots.buildroot import check_name, ids_tag
from deb_mock.failures import EXIT_CODES, FailureClass, exit_code, failure, failures_are
from deb_mock.host.defaults import default_tmpfs_bytes
from deb_mock.host.privileges import require_root
from deb_mock.model import ExtraRepository, Stage
from deb_mock.stages.steps import Steps
from deborch_shared.apt.host import AptSource
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import IdRange

STANZA = "Types: deb\nURIs: file:/srv/archive/ http://127.0.0.1:8080/x\nSuites: test\nComponents: main\n"
RECIPE = BaseRecipe(
    suite="bookworm",
    architecture="amd64",
    sources=(AptSource("http://mirror.example.org/debian", "bookworm", ("main",)),),
    settings={"Acquire::Check-Date": "false"},
    keyring=Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    mmdebstrap="1.3.5",
)


def test_every_failure_class_has_its_own_exit_code():
    assert set(EXIT_CODES) == set(FailureClass)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert not set(EXIT_CODES.values()) & {0, 2, 70, 130}


def test_an_error_without_a_class_has_an_exit_code_too():
    assert exit_code(DeborchError(ErrorCode.INTERNAL, "x")) == 70
    assert exit_code(failure(FailureClass.DEPENDENCY_WAIT, ErrorCode.DEPENDENCY_WAIT, "x", hint="y")) == 4


def test_a_class_is_given_only_where_there_is_none():
    with pytest.raises(DeborchError) as caught, failures_are(FailureClass.CHROOT):
        raise failure(FailureClass.COMPILE, ErrorCode.BUILD_FAILED, "x", hint="y")
    assert caught.value.fields["failure_class"] == "compile"


@pytest.mark.parametrize("name", ["../x", "", ".x", "a/b", "-x", "x" * 101, "a b"])
def test_build_names_stay_in_their_directory(name):
    with pytest.raises(DeborchError):
        check_name(name)


def test_directories_of_file_repositories_are_shown_inside():
    binds = list(file_repositories([ExtraRepository("target", STANZA)]))
    assert [(bind.source, bind.target, bind.read_only) for bind in binds] == [
        (Path("/srv/archive"), "/srv/archive", True)
    ]


@pytest.mark.parametrize(
    "repository",
    [ExtraRepository("../x", STANZA), ExtraRepository("x", "no stanza"), ExtraRepository("x", STANZA + "\n" + STANZA)],
)
def test_unusable_repositories_are_refused(repository):
    with pytest.raises(DeborchError) as caught:
        check_repositories([repository])
    assert caught.value.fields["failure_class"] == "policy"


def test_each_input_of_a_base_changes_its_digest():
    others = [
        replace(RECIPE, suite="trixie"),
        replace(RECIPE, architecture="arm64"),
        replace(RECIPE, settings={}),
        replace(RECIPE, mmdebstrap="1.4"),
        replace(RECIPE, sources=(AptSource("http://other.example.org/debian", "bookworm", ("main",)),)),
    ]
    assert len({RECIPE.digest(), *(other.digest() for other in others)}) == len(others) + 1
    assert RECIPE.digest() == replace(RECIPE).digest()


def test_a_base_is_verified_by_the_keyring_and_gets_certificates_only_for_https():
    line = f"deb [signed-by={RECIPE.keyring}] http://mirror.example.org/debian bookworm main\n"
    assert RECIPE.source_lines() == line
    secure = replace(RECIPE, sources=(AptSource("https://mirror.example.org/debian", "bookworm", ("main",)),))
    assert "ca-certificates" in secure.packages
    assert "ca-certificates" not in RECIPE.packages


def test_layers_of_different_id_ranges_do_not_mix():
    assert ids_tag(IdRange(1)) != ids_tag(IdRange(2)) != ids_tag(None)


def test_the_log_limit_ends_the_build():
    log = bytearray()
    steps = Steps(log.extend, None, log_limit_bytes=10)
    steps.log(b"x" * 10)
    with pytest.raises(DeborchError) as caught:
        steps.log(b"x")
    assert caught.value.fields["failure_class"] == "log-limit"


def test_stages_are_told_when_they_begin_and_kept_when_they_end():
    told = []
    steps = Steps(lambda _: None, lambda stage, _: told.append(stage))
    with steps.stage(Stage.BASE):
        assert told == [Stage.BASE]
        assert steps.times == []
    assert [each.stage for each in steps.times] == [Stage.BASE]


def test_only_root_may_go_on():
    require_root(0)
    with pytest.raises(DeborchError) as caught:
        require_root(1000)
    assert caught.value.code is ErrorCode.NEEDS_ROOT


def test_builds_use_memory_only_where_there_is_enough(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16777216 kB\n")
    assert default_tmpfs_bytes(meminfo) == 8 << 30
    meminfo.write_text("MemTotal:        2097152 kB\n")
    assert default_tmpfs_bytes(meminfo) is None
