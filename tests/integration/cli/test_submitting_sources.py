"""Sources submitted to services in memory: what is sent, and what is refused before."""

import os
from pathlib import Path

import pytest
from tests.integration.cli.fake_services import FakeServices
from tests.unit.cli.cli_examples import make_build
from tests.unit.cli.test_cli_source_package import TARBALL, write_source_package

from deborch_cli.__main__ import run
from deborch_cli.exit_codes import ExitCode

Output = pytest.CaptureFixture[str]


def test_a_dsc_is_uploaded_with_its_files_and_submitted(logged_in: FakeServices, tmp_path: Path, capsys: Output):
    logged_in.add_target()
    logged_in.builds[1] = make_build()
    dsc = write_source_package(tmp_path)
    assert run(["build", str(dsc), "--scratch", "--priority", "5", "--after", "7"]) == 0
    (created,) = logged_in.created
    assert created.dsc is not None
    assert (created.target, created.scratch, created.priority, created.after_builds) == ("bookworm", True, 5, (7,))
    assert logged_in.blobs[created.dsc.sha256] == dsc.read_bytes()
    assert [logged_in.blobs[file.sha256] for file in created.files] == [TARBALL]
    assert capsys.readouterr().out == "build 1 of hello 2.10-3 for bookworm is submitted\n"


def test_files_that_the_hub_has_are_not_sent_again(logged_in: FakeServices, tmp_path: Path):
    logged_in.add_target()
    logged_in.builds[1] = make_build()
    dsc = write_source_package(tmp_path)
    assert run(["build", str(dsc)]) == 0
    logged_in.requests.clear()
    assert run(["build", str(dsc)]) == 0
    assert not [request for request in logged_in.requests if request.startswith("PUT")]


def test_an_upload_that_breaks_off_goes_on_where_it_broke(logged_in: FakeServices, tmp_path: Path, monkeypatch):
    content = os.urandom(3_000_000)
    monkeypatch.setattr("tests.unit.cli.test_cli_source_package.TARBALL", content)
    logged_in.add_target()
    logged_in.builds[1] = make_build()
    dsc = write_source_package(tmp_path, content=content)
    logged_in.break_upload_after_bytes = 1_000_000
    assert run(["build", str(dsc)]) == 0
    assert content in logged_in.blobs.values()
    assert len([request for request in logged_in.requests if request.startswith("PUT")]) == 3
    assert logged_in.parts == {}


def test_a_bad_source_package_leaves_nothing_behind(logged_in: FakeServices, tmp_path: Path, capsys: Output):
    logged_in.add_target()
    dsc = write_source_package(tmp_path, content=b"A tarball")
    assert run(["build", str(dsc)]) == ExitCode.USAGE
    assert "tiny_1.0.tar.xz has another SHA-256" in capsys.readouterr().err
    assert logged_in.requests == []


def test_an_unknown_target_or_architecture_is_refused_before_the_upload(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    logged_in.add_target()
    dsc = str(write_source_package(tmp_path))
    assert run(["build", dsc, "--target", "nosuch"]) == ExitCode.NOT_FOUND
    assert run(["build", dsc, "--arch", "vax"]) == ExitCode.USAGE
    assert "does not build for vax" in capsys.readouterr().err
    assert logged_in.blobs == {}


def test_with_several_targets_one_must_be_chosen(logged_in: FakeServices, monkeypatch, capsys: Output):
    logged_in.builds[1] = make_build()
    assert run(["build", "hello"]) == ExitCode.NOT_FOUND
    logged_in.add_target("bookworm")
    logged_in.add_target("trixie")
    assert run(["build", "hello=2.10-3"]) == ExitCode.USAGE
    assert "bookworm, trixie" in capsys.readouterr().err
    monkeypatch.setenv("DEBORCH_TARGET", "trixie")
    assert run(["build", "hello=2.10-3"]) == 0
    (created,) = logged_in.created
    assert created.suite_source is not None
    assert (created.target, created.suite_source.version) == ("trixie", "2.10-3")
