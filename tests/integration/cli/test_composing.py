"""`deborch compose` against services in memory: what is sent, what is shown, and what it exits with."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.fake_services import FakeServices, later

from deborch_cli.__main__ import run
from deborch_cli.exit_codes import ExitCode
from deborch_shared.contract.composes import (
    Compose,
    ComposeCommitRef,
    ComposeImageRef,
    ComposeOrder,
    ComposeOutputFile,
    ComposePhase,
    Ref,
    Schedule,
)
from deborch_shared.contract.states import ComposeState, PhaseState

Output = pytest.CaptureFixture[str]
AT = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
REF, FIRST, SECOND = "debian/trixie/amd64/minimal", "1" * 64, "2" * 64


@pytest.fixture
def treefile(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "parts").mkdir(parents=True)
    (tree / "minimal.yaml").write_text("name: minimal\ninclude: parts/a.yaml\npackages: [bash, dash]\n")
    (tree / "parts/a.yaml").write_text("add-files: [[../motd, /etc/motd]]\npostprocess-script: run.sh\n")
    (tree / "motd").write_text("hello\n")
    (tree / "parts/run.sh").write_text("#!/bin/sh\n")
    (tree / "parts/run.sh").chmod(0o755)
    (tree / "unrelated-secret").write_text("secret\n")
    return tree / "minimal.yaml"


def make_compose(**given: Any) -> Compose:
    order = ComposeOrder(treefile="m.yaml", files=({"path": "m.yaml", "sha256": "0" * 64, "size_bytes": 1},))
    usual = {
        "id": 5, "name": "minimal", "engine_name": "minimal-13.d.0", "state": ComposeState.REQUESTED,
        "type": "development", "label": None, "owner": "key:1", "attempt": 1, "composer": "c1", "failure_class": None,
        "message": "", "created_at": AT, "started_at": AT, "ended_at": None, "order": order, "lease_until": None,
        "phases": [], "commits": [], "images": [], "outputs": 0,
    }  # fmt: skip
    return Compose.model_validate({**usual, **given})


def make_phase(phase: str, state: PhaseState, **given: Any) -> ComposePhase:
    usual = {"target": "minimal.amd64", "step": "", "done": 0, "total": 0, "seconds": 1.5, "failable": False}
    return ComposePhase(**{**usual, "phase": phase, "state": state, "message": "", "started_at": AT, **given})


def test_a_treefile_goes_with_the_files_that_it_names_and_no_other(
    logged_in: FakeServices, treefile: Path, capsys: Output
):
    logged_in.replies["POST composes"] = make_compose()
    options = ["--variant", "m*", "--arch", "amd64", "--var", "v=1=2", "--test", "boot", "--label", "RC-1.0"]
    assert run(["compose", "create", str(treefile), *options]) == 0
    ((_, sent),) = logged_in.bodies
    assert isinstance(sent["files"], list)
    files = {file["path"]: file for file in sent["files"]}
    assert set(files) == {"minimal.yaml", "motd", "parts/a.yaml", "parts/run.sh"}
    assert [name for name, file in files.items() if file["executable"]] == ["parts/run.sh"]
    assert all(logged_in.blobs[file["sha256"]] for file in files.values())
    assert (sent["name"], sent["treefile"], sent["variables"]) == ("minimal", "minimal.yaml", {"v": "1=2"})
    assert (sent["variants"], sent["tests"], sent["label"]) == (["m*"], ["boot"], "RC-1.0")
    assert capsys.readouterr().out == "compose 5 of minimal is requested\n"


def test_a_file_that_no_text_names_is_sent_if_it_is_asked_for_and_within_the_tree(
    logged_in: FakeServices, treefile: Path, tmp_path: Path, capsys: Output
):
    logged_in.replies["POST composes"] = make_compose()
    assert run(["compose", "create", str(treefile), "--file", str(treefile.parent / "unrelated-secret")]) == 0
    assert "unrelated-secret" in str(logged_in.bodies)
    (tmp_path / "outside").write_text("x")
    assert run(["compose", "create", str(treefile), "--file", str(tmp_path / "outside")]) == ExitCode.USAGE
    assert "outside of" in capsys.readouterr().err


def test_a_treefile_that_cannot_be_read_is_told_before_anything_is_sent(
    logged_in: FakeServices, tmp_path: Path, capsys: Output
):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1\n")
    logged_in.requests.clear()
    assert run(["compose", "create", str(broken)]) == ExitCode.USAGE
    assert "broken.yaml:" in capsys.readouterr().err
    assert run(["compose", "create", str(tmp_path / "nosuch.yaml")]) == ExitCode.NOT_FOUND
    assert logged_in.requests == []


def test_watching_shows_each_phase_as_it_comes_and_exits_by_the_outcome(
    logged_in: FakeServices, treefile: Path, capsys: Output
):
    states = [
        make_compose(state=ComposeState.RUNNING, phases=[make_phase("gather", PhaseState.RUNNING, step="download")]),
        make_compose(
            state=ComposeState.FAILED, message="no space left", ended_at=AT,
            phases=[make_phase("gather", PhaseState.FAILED, message="no space left")],
        ),
    ]  # fmt: skip
    logged_in.replies |= {"POST composes": make_compose(), "GET composes/5": make_compose()}

    def become(compose: Compose) -> None:
        logged_in.replies["GET composes/5"] = compose

    later(logged_in, *(lambda state=state: become(state) for state in states))
    assert run(["compose", "create", str(treefile), "--watch"]) == ExitCode.FAILED
    lines = [line.partition("  ")[2] or line for line in capsys.readouterr().out.splitlines()]
    assert lines[:-1] == [
        "compose 5 minimal: requested on c1",
        "gather minimal.amd64: running (download)",
        "compose 5 minimal: running on c1",
        "gather minimal.amd64: failed (1.5 s): no space left",
        "compose 5 minimal: failed: no space left",
    ]
    assert lines[-1].startswith("compose 5 minimal failed after")


def test_a_finished_compose_is_downloaded_in_directories_of_its_own(logged_in: FakeServices, tmp_path: Path):
    content = b"an image"
    sha256 = hashlib.sha256(content).hexdigest()
    logged_in.blobs[sha256] = content
    output = {"kind": "raw", "variant": "minimal", "architecture": "amd64", "sha256": sha256, "size_bytes": 8}
    logged_in.replies["GET composes/5/outputs"] = [ComposeOutputFile(path="minimal/amd64/disk.raw", **output)]
    assert run(["compose", "download", "5", "--to", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here/minimal/amd64/disk.raw").read_bytes() == content
    logged_in.replies["GET composes/5/outputs"] = [ComposeOutputFile(path="../../escape", **output)]
    assert run(["compose", "download", "5", "--to", str(tmp_path / "here")]) == ExitCode.USAGE
    assert not (tmp_path.parent / "escape").exists()


def test_promotion_says_where_it_believes_the_ref_to_be(logged_in: FakeServices, capsys: Output):
    commit = ComposeCommitRef(ref=REF, commit=SECOND, variant="minimal", architecture="amd64", version="13.2")
    image = ComposeImageRef(image="registry.test/debian", digest=f"sha256:{SECOND}", tags=(), variant="minimal")
    ref = {"ref": REF, "compose_id": 5, "version": "13.2", "promoted_at": AT, "promoted_by": "key:1", "url": "http://h"}
    logged_in.replies |= {
        "GET composes/5": make_compose(state=ComposeState.FINISHED, commits=[commit], images=[image]),
        f"GET refs/{REF}": Ref(commit=FIRST, **ref),
        f"POST refs/{REF}/promote": Ref(commit=SECOND, **ref),
        f"POST refs/{REF}/rollback": Ref(commit=FIRST, **ref),
    }
    assert run(["compose", "promote", "5", "--json"]) == 0
    assert logged_in.bodies[-1][1] == {"compose_id": 5, "expected": FIRST}
    assert json.loads(capsys.readouterr().out) == [{"name": REF, "before": FIRST, "now": SECOND}]
    assert run(["compose", "promote", "5", "--expect", "none"]) == 0
    assert logged_in.bodies[-1][1] == {"compose_id": 5}
    assert run(["compose", "rollback", REF, "--expect", SECOND]) == 0
    assert logged_in.bodies[-1][1] == {"expected": SECOND}


def test_a_schedule_keeps_the_treefile_as_it_is(logged_in: FakeServices, treefile: Path, capsys: Output):
    logged_in.replies["POST schedules"] = Schedule(
        name="nightly", daily_at="03:00", weekdays=(), every_s=None, enabled=True, owner="key:1", next_at=AT,
        last_at=None, last_compose_id=None, created_at=AT,
    )  # fmt: skip
    assert run(["compose", "schedule", "create", "nightly", str(treefile), "--at", "03:00"]) == 0
    sent = logged_in.bodies[-1][1]
    assert isinstance(sent["compose"], dict)
    assert (sent["daily_at"], sent["compose"]["type"], len(sent["compose"]["files"])) == ("03:00", "nightly", 4)
    assert "runs next at 2026-11-01 12:00 UTC" in capsys.readouterr().out
    assert run(["compose", "schedule", "create", "nightly", str(treefile)]) == ExitCode.USAGE
