"""Whatever a build leaves in its workspace, only what the .changes says comes out."""

import hashlib
import os
from pathlib import Path

import pytest

from deb_mock.model import ArtifactKind
from deb_mock.plugins.context import CollectedResults
from deb_mock.results.directory import ResultDirectory, collect, kind_of
from deborch_shared.errors import DeborchError, ErrorCode

CHANGES = "x_1.0_amd64.changes"
LOG = "x_1.0_amd64.build"


@pytest.fixture
def workspace(tmp_path):
    path = tmp_path / "workspace"
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    path_and_descriptor = (path, descriptor)
    yield path_and_descriptor
    os.close(descriptor)


@pytest.fixture
def results(tmp_path):
    results = ResultDirectory(tmp_path / "results")
    results.create()
    return results


def write_changes(path, name="x_1.0_amd64.deb", content=b"deb"):
    lines = f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}"
    (path / CHANGES).write_text(f"Format: 1.8\nSource: x\nChecksums-Sha256:\n{lines}\n")


def collected(workspace, results):
    return collect(workspace[1], CHANGES, results, log_name=LOG)


def refused(workspace, results):
    with pytest.raises(DeborchError) as caught:
        collected(workspace, results)
    assert not results.final.exists()
    assert caught.value.fields["failure_class"] == "compile"
    return caught.value


def test_listed_files_come_out_and_others_stay(workspace, results):
    path = workspace[0]
    write_changes(path)
    (path / "x_1.0_amd64.deb").write_bytes(b"deb")
    (path / "other").write_bytes(b"other")
    artifacts = collected(workspace, results)
    results.publish()
    assert [artifact.name for artifact in artifacts] == [CHANGES, "x_1.0_amd64.deb"]
    assert sorted(each.name for each in results.final.iterdir()) == ["x_1.0_amd64.changes", "x_1.0_amd64.deb"]


def test_a_link_is_not_followed(workspace, results):
    write_changes(workspace[0])
    (workspace[0] / "x_1.0_amd64.deb").symlink_to("/etc/passwd")
    assert refused(workspace, results).code is ErrorCode.BUILD_FAILED


def test_a_pipe_or_directory_is_not_opened(workspace, results):
    write_changes(workspace[0])
    os.mkfifo(workspace[0] / "x_1.0_amd64.deb")
    assert "no plain file" in refused(workspace, results).message


def test_a_name_that_climbs_out_is_refused(workspace, results):
    write_changes(workspace[0], name="../../etc/passwd")
    assert refused(workspace, results).code is ErrorCode.UNSAFE_PATH


@pytest.mark.parametrize("name", [CHANGES, LOG, "x_1.0_amd64.report.json", "x_1.0_amd64.deb"])
def test_a_list_that_names_a_file_twice_or_one_of_ours_is_a_fault_of_the_package(workspace, results, name):
    write_changes(workspace[0])
    (workspace[0] / "x_1.0_amd64.deb").write_bytes(b"deb")
    with (workspace[0] / CHANGES).open("a") as changes:
        changes.write(f" {hashlib.sha256(b'deb').hexdigest()} 3 {name}\n")
    if name == LOG:
        (workspace[0] / name).write_bytes(b"deb")
    assert f"lists {name}, which is there already" in refused(workspace, results).message


def test_a_plug_in_that_finds_its_name_taken_by_the_build_blames_the_package(workspace, results):
    write_changes(workspace[0], name="x.lintian.txt")
    (workspace[0] / "x.lintian.txt").write_bytes(b"deb")
    found = CollectedResults(results, collected(workspace, results))
    found.add("mine", b"")
    for name, blamed in (("x.lintian.txt", "compile"), ("mine", "chroot-fault")):
        with pytest.raises(DeborchError, match="there is a file") as caught:
            found.add(name, b"")
        assert caught.value.fields["failure_class"] == blamed


def test_another_content_than_announced_is_refused(workspace, results):
    write_changes(workspace[0])
    (workspace[0] / "x_1.0_amd64.deb").write_bytes(b"bed")
    assert "another content" in refused(workspace, results).message


def test_no_changes_file_is_a_build_failure(workspace, results):
    assert CHANGES in refused(workspace, results).message


def test_a_taken_result_directory_is_refused_and_an_empty_one_is_not(tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    ResultDirectory(taken).check_free()
    (taken / "file").touch()
    with pytest.raises(DeborchError) as caught:
        ResultDirectory(taken).check_free()
    assert caught.value.code is ErrorCode.ALREADY_EXISTS


def test_results_replace_an_empty_directory(results):
    results.final.mkdir()
    (results.unfinished / "file").touch()
    results.publish()
    assert [path.name for path in results.final.iterdir()] == ["file"]


def test_merged_results_are_added_to_a_directory_and_replace_those_of_their_names(tmp_path):
    final = tmp_path / "results"
    final.mkdir()
    (final / "old.deb").write_text("old")
    (final / "x_1.0_amd64.deb").write_text("before")
    results = ResultDirectory(final, merge=True)
    results.check_free()
    results.create()
    results.add_text("x_1.0_amd64.deb", "after")
    results.add_text(CHANGES, "changes")
    results.publish()
    assert {path.name: path.read_text() for path in final.iterdir()} == {
        "old.deb": "old",
        "x_1.0_amd64.deb": "after",
        CHANGES: "changes",
    }
    assert not results.unfinished.exists()


def test_whoever_sees_the_changes_in_a_merged_directory_finds_what_it_lists(tmp_path, monkeypatch):
    results = ResultDirectory(tmp_path / "results", merge=True)
    results.final.mkdir()
    (results.final / "old.deb").touch()
    results.create()
    for name in (CHANGES, "x_1.0_amd64.deb", "x_1.0_amd64.buildinfo", "z.build"):
        results.add_text(name, "")
    order = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, target: (order.append(path.name), rename(path, target))[1])
    results.publish()
    assert order[1:] == ["x_1.0_amd64.deb", "z.build", "x_1.0_amd64.buildinfo", CHANGES]


def test_the_build_cannot_change_a_result_afterwards_through_a_file_that_it_still_has(workspace, results):
    write_changes(workspace[0])
    deb = workspace[0] / "x_1.0_amd64.deb"
    deb.write_bytes(b"deb")
    collected(workspace, results)
    deb.write_bytes(b"bed")
    results.publish()
    assert (results.final / deb.name).read_bytes() == b"deb"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a file to somebody else")
def test_a_linked_result_belongs_to_root_and_a_file_with_a_second_name_is_copied(workspace, results):
    once, twice = workspace[0] / "once.deb", workspace[0] / "twice.deb"
    for path in (once, twice):
        path.write_bytes(b"deb")
        os.chown(path, 59_000, 59_000)
        path.chmod(0o4777)
    (workspace[0] / "other name").hardlink_to(twice)
    for path in (once, twice):
        results.take(workspace[1], path.name, may_link=True)
        taken = (results.unfinished / path.name).stat()
        assert (taken.st_uid, taken.st_mode & 0o7777) == (0, 0o644)
    assert (results.unfinished / once.name).samefile(once)
    assert not (results.unfinished / twice.name).samefile(twice)


def test_kinds_follow_names():
    assert kind_of("a_1_amd64.ddeb") is ArtifactKind.DDEB
    assert kind_of("a_1_amd64.report.json") is ArtifactKind.REPORT
    assert kind_of("a_1_amd64.deb") is ArtifactKind.DEB
    assert kind_of("a_1_amd64.udeb") is ArtifactKind.UDEB
    assert kind_of("a_1_amd64.buildinfo") is ArtifactKind.BUILDINFO
    assert kind_of("a_1_amd64.build") is ArtifactKind.LOG
    assert kind_of("a_1.tar.gz") is ArtifactKind.OTHER


def test_of_two_builds_with_one_directory_the_later_is_told_that_it_is_taken(tmp_path):
    first, second = (ResultDirectory(tmp_path / "results") for _ in range(2))
    for results in (first, second):
        results.check_free()
        results.create()
        results.add_text(CHANGES, "changes")
    first.publish()
    with pytest.raises(DeborchError) as caught:
        second.publish()
    assert caught.value.code is ErrorCode.ALREADY_EXISTS
    assert "another build" in caught.value.message
