"""What a person sees: the command in a pseudo-terminal."""

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

from tests.integration.cli.fake_services import FakeServices
from tests.unit.cli.cli_examples import AT, make_build, make_task, make_whole_task

from deborch_cli.exit_codes import ExitCode
from deborch_shared.contract.states import BuildState, TaskState


def run_on_terminal(*arguments: str) -> tuple[int, str]:
    """Exit code and everything that went to the terminal, stdout and stderr alike."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "deborch_cli", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as child:
        os.close(theirs)
        shown = bytearray()
        with suppress(OSError):  # Linux ends a pseudo-terminal with EIO
            while chunk := os.read(ours, 65_536):
                shown += chunk
    os.close(ours)
    return child.returncode, shown.decode("utf-8", "replace")


def test_a_watched_build_shows_tasks_and_the_growing_log_and_obeys_nothing_in_it(logged_in: FakeServices):
    task = make_task(state=TaskState.RUNNING, host="builder1", attempt=1, started_at=AT)
    failed = make_task(
        state=TaskState.FAILED, host="builder1", attempt=1, started_at=AT, ended_at=AT, failure_class="compile"
    )
    logged_in.builds[1], logged_in.tasks[2] = make_build(task), make_whole_task(task)
    logged_in.logs[2] = b"checking for gcc\n\x1b]0;owned\x07\x1b[2Jmake: Error 2\n"

    def end() -> None:
        while "GET /api/v1/tasks/2/log/stream" not in logged_in.requests:
            time.sleep(0.05)
        time.sleep(1)
        logged_in.builds[1] = make_build(failed, state=BuildState.FAILED, ended_at=AT, message="amd64: compile")
        logged_in.announce("build.failed", build_id=1)

    threading.Thread(target=end, daemon=True).start()
    code, shown = run_on_terminal("build", "watch", "1")
    assert code == ExitCode.FAILED
    assert "\x1b]0;" not in shown and "\x1b[2J" not in shown
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    for part in (
        "Build 1  hello 2.10-3 for bookworm",
        "builder1",
        "log of task 2",
        "checking for gcc",
        "make: Error 2",
    ):
        assert part in text
    assert "✗ build 1 of hello 2.10-3 failed after 0.0 s: amd64: compile" in text
    assert "deborch task log 2" in text


def test_states_have_colours_and_errors_are_red(logged_in: FakeServices):
    logged_in.builds[1] = make_build(state=BuildState.FAILED)
    code, shown = run_on_terminal("build", "list")
    assert code == 0
    assert "\x1b[1;31mfailed" in shown
    code, shown = run_on_terminal("build", "show", "7")
    assert code == ExitCode.NOT_FOUND
    assert "\x1b[1;31merror: " in shown and "\x1b[1;36mhint: " in shown
