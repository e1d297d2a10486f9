"""What is told of a build when it ends: log, report and fields of the error agree with what happened."""

import asyncio
import json
from dataclasses import replace

import pytest

from deb_mock.model import ArtifactKind, Surroundings
from deb_mock.stages import log_sections
from deborch_shared import process
from deborch_shared.errors import DeborchError

TESTS_FAIL = "echo 'FAIL: test_sum (test_x.Sums)'\necho 'FAILED (failures=1)'\nfalse"
SECTIONS = ["Source package", "Base", "Build dependencies", "Buildroot", "Unpack", "Build"]


async def fails(engine, request, log):
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    return caught.value


async def test_a_build_that_succeeds_has_a_log_in_sections_and_a_report_with_its_inputs_by_hash(
    engine, request_for, log
):
    request = request_for()
    result = await engine.build(request, on_log=log.extend)
    by_kind = {artifact.kind: artifact.path for artifact in result.artifacts}
    content = by_kind[ArtifactKind.LOG].read_bytes()
    assert [section.title for section in log_sections.sections(content)] == [*SECTIONS, "Results", "Summary"]
    text = content.decode()
    assert "\nStatus: successful\n" in text
    assert "./usr/share/tiny/file" in text
    assert f"\n  make_{next(each.version for each in result.installed if each.name == 'make')}_" in text

    report = json.loads(by_kind[ArtifactKind.REPORT].read_text())
    assert report["outcome"] == "successful"
    assert report["failure"] is None
    digest = (await process.run(["sha256sum", str(request.dsc)])).output.split()[0].decode()
    assert report["source"]["dsc_sha256"] == digest
    assert report["base"]["suite"] == request.suite
    assert len(report["installed"]["packages"]) == len(result.installed)
    assert [stage["stage"] for stage in report["stages"]][:2] == ["source", "base"]
    deb = next(artifact for artifact in result.artifacts if artifact.kind is ArtifactKind.DEB)
    assert {"name": deb.name, "kind": "deb", "sha256": deb.sha256, "size_bytes": deb.size_bytes} in report["artifacts"]
    for section in report["log"]["sections"]:
        assert section["title"].encode() in content[section["offset_bytes"] :][: section["size_bytes"]]


async def test_tests_that_fail_are_a_class_of_their_own_and_log_and_report_are_kept(engine, request_for, log, tmp_path):
    request = replace(request_for(TESTS_FAIL), failed_dir=tmp_path / "failed")
    error = await fails(engine, request, log)
    assert error.fields["failure_class"] == "test"
    assert error.fields["stage"] == "build"
    assert error.fields["first_lines"][0]["text"] == "FAIL: test_sum (test_x.Sums)"
    kept = {path.suffix: path for path in request.failed_dir.iterdir()}
    assert error.fields["log"] == str(kept[".build"])
    lines = kept[".build"].read_text().splitlines()
    for line in error.fields["first_lines"]:
        assert lines[line["number"] - 1] == line["text"]
    assert lines[-3:] == ["Status: failed", "Fail-Stage: build", "Failure-Class: test"]
    report = json.loads(kept[".json"].read_text())
    assert report["outcome"] == "failed"
    assert report["failure"]["class"] == "test"
    assert report["failure"]["first_lines"] == error.fields["first_lines"]
    assert not request.result_dir.exists()


async def test_a_build_that_is_ended_says_what_it_did_last(engine, request_for, log, tmp_path):
    request = replace(request_for("echo busy; sleep 1000", timeout_s=4), failed_dir=tmp_path / "failed")
    error = await fails(engine, request, log)
    assert error.fields["failure_class"] == "timeout"
    assert error.fields["first_lines"][-1]["text"] == "busy"
    [report] = request.failed_dir.glob("*.report.json")
    assert json.loads(report.read_text())["failure"]["stage"] == "build"


async def test_a_build_path_that_covers_a_part_of_the_system_is_refused(engine, request_for, log):
    request = request_for()
    refused = replace(request, surroundings=Surroundings(build_path="/usr/bin/"))
    with pytest.raises(DeborchError) as caught:
        await engine.build(refused, on_log=log.extend)
    assert "build path" in caught.value.message


async def test_a_build_that_is_cancelled_keeps_its_log(engine, request_for, log, tmp_path):
    request = replace(request_for("echo compiling; sleep 1000"), failed_dir=tmp_path / "failed")
    task = asyncio.create_task(engine.build(request, on_log=log.extend))
    while b"\ncompiling" not in log:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [report] = request.failed_dir.glob("*.report.json")
    assert json.loads(report.read_text())["outcome"] == "canceled"


async def test_results_on_the_same_disk_are_not_the_files_that_the_build_could_still_write(
    engine, request_for, log, tmp_path
):
    request = replace(request_for(), surroundings=Surroundings(on_disk=True, build_path="/build/deeper/tree"))
    result = await engine.build(request, on_log=log.extend)
    for artifact in result.artifacts:
        found = artifact.path.stat()
        assert (found.st_uid, found.st_mode & 0o7777) == (0, 0o644)
    assert b"Build path: /build/deeper/tree\n" in log
