"""Whatever a build leaves in its workspace, only what the .changes says comes out."""

import hashlib
import os
from pathlib import Path

import pytest

from deb_mock.model import ArtifactKind, BuildRequest
from deb_mock.results import ResultDirectory, collect, kind_of
from deborch_shared.errors import DeborchError, ErrorCode

CHANGES = "x_1.0_amd64.changes"


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
    request = BuildRequest("b", Path("x.dsc"), Path(), "bookworm", "amd64", results.final)
    return collect(workspace[1], "x", "2:1.0", request, results)


def refused(workspace, results):
    with pytest.raises(DeborchError) as caught:
        collected(workspace, results)
    assert not results.final.exists()
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


def test_kinds_follow_names():
    assert kind_of("a_1_amd64.deb") is ArtifactKind.DEB
    assert kind_of("a_1_amd64.udeb") is ArtifactKind.UDEB
    assert kind_of("a_1_amd64.buildinfo") is ArtifactKind.BUILDINFO
    assert kind_of("a_1_amd64.build") is ArtifactKind.LOG
    assert kind_of("a_1.tar.gz") is ArtifactKind.OTHER
