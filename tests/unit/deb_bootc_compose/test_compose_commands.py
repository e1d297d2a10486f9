"""The commands of deb-bootc-compose, with phases that do nothing."""

import asyncio
import io
import json

import pytest
from rich.console import Console
from tests.unit.deb_bootc_compose.fakes import AMD64, FakePhase, engine
from typer.testing import CliRunner

from deb_bootc_compose.cli import compose as compose_commands
from deb_bootc_compose.cli.app import app
from deb_bootc_compose.cli.live import LiveTree
from deb_bootc_compose.failures import EXIT_CODES, FailureClass, failure
from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.events import ComposeStarted, PhaseDone, PhaseProgress, PhaseStarted, PhaseState
from deborch_shared.errors import ErrorCode


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in a state directory of its own; `run.phases` are those that it finds."""
    (tmp_path / "sample.yaml").write_text("{}")
    phases = [FakePhase("gather"), FakePhase("output.raw", "gather")]
    monkeypatch.setattr(compose_commands, "engine_of", lambda state_dir: engine(state_dir, phases))

    def command(*arguments: str):
        given = [str(tmp_path / "sample.yaml") if argument == "SAMPLE" else argument for argument in arguments]
        return CliRunner().invoke(app, [*given, "--state-dir", str(tmp_path / "state")])

    command.phases = phases
    return command


async def broken(work):
    raise failure(FailureClass.TREE, ErrorCode.PROCESS_FAILED, "no [bold] tree", hint="mend it")


def test_events_come_as_one_json_object_a_line_and_the_last_says_how_it_ended(run):
    result = run("compose", "SAMPLE", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == [
        "compose.started",
        *["phase.started", "phase.done"] * 2,
        "compose.done",
    ]
    assert events[2]["target"] == "server.amd64"
    assert events[-1]["status"] == "FINISHED"


def test_a_doomed_compose_says_what_to_do_and_its_exit_code_is_that_of_the_failure(run):
    run.phases[0].does = broken
    result = run("compose", "SAMPLE")
    assert result.exit_code == EXIT_CODES[FailureClass.TREE]
    assert "no [bold] tree" in result.stderr
    assert "deb-bootc-compose resume sample-trixie-" in result.stderr
    run.phases[0].does = None
    compose_id = json.loads(run("list", "--json").stdout)[0]["compose_id"]
    assert run("resume", compose_id).exit_code == 0
    assert json.loads(run("list", "--json").stdout)[0]["status"] == "FINISHED"


def test_a_dry_run_shows_the_phases_and_makes_nothing(run):
    result = run("compose", "SAMPLE", "--dry-run", "--skip-phase", "output", "--json")
    assert json.loads(result.stdout) == {
        "phases": ["gather.server.amd64"],
        "skipped": {"output.raw.server.amd64": "--skip-phase"},
    }
    assert run("list", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--variable", "nothing"], "NAME=VALUE is expected"),
        (["--just-phase", "outputs"], "no phase is meant by 'outputs'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(run, arguments, says):
    result = run("compose", "SAMPLE", *arguments)
    assert result.exit_code == EXIT_CODES[FailureClass.TREEFILE]
    assert says in result.stderr
    assert run("list", "--json").stdout == "[]\n"


def test_an_interrupted_compose_is_terminated_and_says_how_to_go_on(run):
    async def interrupted(work):
        asyncio.get_running_loop().call_soon(main.cancel)
        await asyncio.sleep(60)

    run.phases[0].does = interrupted
    main = Main()
    result = run("compose", "SAMPLE")
    assert result.exit_code == EXIT_CODES[FailureClass.CANCELED]
    assert "TERMINATED; `deb-bootc-compose resume sample-trixie-" in result.stderr
    assert json.loads(run("list", "--json").stdout)[0]["status"] == "TERMINATED"


class Main:
    """The task that a command runs in."""

    def cancel(self) -> None:
        for task in asyncio.all_tasks():
            if "_until_signalled" in repr(task.get_coro()):
                task.cancel()


def test_the_tree_shows_each_phase_under_its_target_with_what_it_does_and_reads_no_markup():
    tree = LiveTree()
    tree.on_event(
        ComposeStarted("sample-13-20261127.d.0", "/state", (("init", None), ("gather", AMD64), ("lint", AMD64)))
    )
    tree.on_event(PhaseDone("init", None, PhaseState.DONE, 1.5))
    tree.on_event(PhaseStarted("gather", AMD64))
    tree.on_event(PhaseProgress("gather", AMD64, "fetching [bold]vim", 1, 4))
    console = Console(file=io.StringIO(), width=100)
    console.print(tree.rendered())
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "sample-13-20261127.d.0"
    assert "init" in lines[1] and "1.5 s" in lines[1]
    assert "server.amd64" in lines[2]
    assert "fetching [bold]vim 25 %" in lines[3]
    assert "waiting" in lines[4]


def test_on_a_low_terminal_targets_that_nothing_happens_to_are_one_line_so_that_the_running_one_is_seen():
    console = Console(file=io.StringIO(), width=60, height=12)
    tree, targets = LiveTree(console), [Target(f"server-{name}", "amd64") for name in ("web", "db", "mail")]
    phases = ["gather", "ostree", "lint"]
    tree.on_event(ComposeStarted("sample", "/state", tuple((phase, t) for t in targets for phase in phases)))
    for phase in phases:
        tree.on_event(PhaseDone(phase, targets[0], PhaseState.DONE, 1.5))
    tree.on_event(PhaseStarted("gather", targets[1]))
    tree.on_event(PhaseProgress("gather", targets[1], "looking whether the archives have changed, or " * 2))
    console.print(tree.rendered())
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 7
    assert lines[1].split() == ["├──", "server-web.amd64", "✔", "done"]
    assert "gather" in lines[3] and lines[3].rstrip().endswith("…")
    assert lines[6].split() == ["└──", "server-mail.amd64", "·", "waiting"]


def test_no_id_status_or_reason_of_the_list_is_cut_on_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    run.phases[1].does = broken
    assert run("compose", "SAMPLE", "--version", "13.4.20261128").exit_code == EXIT_CODES[FailureClass.TREE]
    compose_id = json.loads(run("list", "--json").stdout)[0]["compose_id"]
    _, row, *below = run("list").stdout.splitlines()
    assert row.startswith(f"{compose_id}  DOOMED  ")
    assert " ".join(line.strip() for line in below) == "server.amd64; failed: output.raw.server.amd64"
