"""Results of services in memory: fetched, verified, never half there."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.integration.cli.fake_services import FakeServices

from deborch_cli.__main__ import run
from deborch_cli.exit_codes import ExitCode
from deborch_shared.contract.builds import Artifact

Output = pytest.CaptureFixture[str]


def add_artifact(services: FakeServices, name: str, content: bytes, kind: str = "deb", task_id: int = 2) -> str:
    digest = hashlib.sha256(content).hexdigest()
    services.blobs[digest] = content
    number = len(services.artifacts) + 1
    services.artifacts.append(
        Artifact(id=number, build_id=1, task_id=task_id, name=name, kind=kind, sha256=digest, size_bytes=len(content))
    )
    return digest


def test_results_are_fetched_and_verified_even_if_the_connection_breaks(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    content = os.urandom(2_000_000)
    add_artifact(logged_in, "hello_2.10-3_amd64.deb", content)
    add_artifact(logged_in, "build.log", b"log", kind="log")
    logged_in.break_download_after_bytes = 700_000
    to = tmp_path / "out"
    assert run(["build", "download", "1", "--to", str(to), "--kind", "deb", "--json"]) == 0
    assert [path.name for path in to.iterdir()] == ["hello_2.10-3_amd64.deb"]
    assert (to / "hello_2.10-3_amd64.deb").read_bytes() == content
    assert json.loads(capsys.readouterr().out)[0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_result_with_other_content_than_promised_does_not_appear(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    digest = add_artifact(logged_in, "hello.deb", b"good")
    logged_in.blobs[digest] = b"evil"
    assert run(["build", "download", "1", "--to", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "other content than the hub promised" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil.deb", "/etc/evil", "..", "a\x1b[2Jb"])
def test_a_result_whose_name_leads_elsewhere_is_refused_before_any_is_fetched(
    logged_in: FakeServices, tmp_path: Path, capsys: Output, name: str
):
    add_artifact(logged_in, "hello.deb", b"good")
    add_artifact(logged_in, name, b"evil")
    assert run(["build", "download", "1", "--to", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "leads out of its directory" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.root
def test_a_full_disk_is_told_with_the_file_and_nothing_half_fetched_stays(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    add_artifact(logged_in, "hello.deb", os.urandom(3 << 20))
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        assert run(["build", "download", "1", "--to", str(disk)]) == ExitCode.UNAVAILABLE
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    told = capsys.readouterr().err
    assert f"{disk}/hello.deb: No space left on device" in told
    assert "hint: free space" in told


def test_files_that_are_there_are_kept_unless_told_otherwise(logged_in: FakeServices, tmp_path: Path, capsys: Output):
    add_artifact(logged_in, "hello.deb", b"good")
    (tmp_path / "hello.deb").write_bytes(b"mine")
    download = ["build", "download", "1", "--to", str(tmp_path)]
    assert run(download) == ExitCode.CONFLICT
    assert (tmp_path / "hello.deb").read_bytes() == b"mine"
    assert run([*download, "--force"]) == 0
    assert (tmp_path / "hello.deb").read_bytes() == b"good"
    assert run(download) == 0


def test_files_of_one_name_from_two_tasks_are_both_kept(logged_in: FakeServices, tmp_path: Path):
    add_artifact(logged_in, "build.log", b"one", kind="log", task_id=2)
    add_artifact(logged_in, "build.log", b"two", kind="log", task_id=3)
    assert run(["build", "download", "1", "--to", str(tmp_path / "out")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        "2-build.log": b"one",
        "3-build.log": b"two",
    }


def test_a_build_without_results_says_so(logged_in: FakeServices, capsys: Output):
    assert run(["build", "download", "1"]) == ExitCode.NOT_FOUND
    assert "has made nothing" in capsys.readouterr().err
