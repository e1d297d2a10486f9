"""deb-mock as people and scripts run it."""

import asyncio
import json
import os
import signal
import sys

import pytest
from tests.integration.deb_mock.conftest import processes_of, what_is_left
from tests.integration.deb_mock.terminal import on_a_terminal

from deborch_shared import process


@pytest.fixture
def command(config):
    """The start of a command line, and the options that place its directories."""
    places = ["--state-dir", str(config.state_dir), "--cache-dir", str(config.cache_dir)]
    return lambda name, *arguments: [sys.executable, "-m", "deb_mock", name, *map(str, arguments), *places]


async def test_build_shows_stages_and_results(command, request_for, config):
    request = request_for()
    result = await process.run(command("build", request.dsc, "--result-dir", request.result_dir))
    text = result.output.decode()
    assert "build dependencies" in text
    assert str(request.result_dir / "tiny_1.0_") in text
    assert what_is_left(config.state_dir) == []


async def test_a_build_can_be_repeated_and_replaces_its_results_but_none_in_a_directory_that_was_named(
    command, request_for, tmp_path
):
    request = request_for()
    place = tmp_path / "tiny_1.0_result"
    for _ in range(2):
        await process.run(command("build", request.dsc), cwd=tmp_path)
    assert len(list(place.glob("*.changes"))) == 1
    refused = await process.run(command("build", request.dsc, "--result-dir", place), cwd=tmp_path, check=False)
    assert refused.returncode == 3
    assert b"--merge" in refused.output


async def test_build_as_json_can_be_read_by_a_program(command, request_for):
    request = request_for()
    arguments = command("build", request.dsc, "--result-dir", request.result_dir, "--json")
    result = await process.run(["/bin/sh", "-c", 'exec "$@" 2>/dev/null', "sh", *arguments])
    shown = json.loads(result.output)
    assert shown["source"] == "tiny"
    assert {artifact["kind"] for artifact in shown["artifacts"]} == {"deb", "changes", "buildinfo", "log", "report"}


@pytest.mark.parametrize(
    ("body", "depends", "code", "said"),
    [("false", "", 1, "failed with exit code"), ("true", "no-such-package", 4, "no-such-package")],
)
async def test_failures_have_exit_codes_and_no_traceback(command, request_for, body, depends, code, said):
    request = request_for(body, build_depends=depends)
    result = await process.run(command("build", request.dsc, "--result-dir", request.result_dir), check=False)
    text = result.output.decode()
    assert result.returncode == code
    assert said in text
    assert "what to do:" in text
    assert "Traceback" not in text


async def test_a_failed_build_opens_a_shell_in_its_buildroot_as_the_build_was_and_then_removes_it(
    command, request_for, config
):
    request = request_for("echo half > made; false")
    argv = command(
        "build", request.dsc, "--result-dir", request.result_dir, "--shell-on-failure",
        "--build-option", "nocheck", "--timeout", 40,
    )  # fmt: skip
    with on_a_terminal(argv, os.environ) as terminal:
        await terminal.see(b"failed:")
        terminal.type(b"echo $(id -un) $(cat made) $(basename $PWD) $DEB_BUILD_OPTIONS\n")
        await terminal.see(b"builder half tiny-1.0 parallel=")
        terminal.type(b"ls /sys/class/net; touch /etc/no\n")
        await terminal.see(b"\rlo\r\n")
        await terminal.see(b"Permission denied")
        terminal.type(b"exit 9\n")
        assert await terminal.ended() == 1
    assert b"dpkg-buildpackage failed with exit code 2" in terminal.seen
    assert what_is_left(config.state_dir) == []


async def test_the_shell_of_a_failed_build_can_be_roots_and_is_not_ended_by_the_builds_time_limit(command, request_for):
    request = request_for("false")
    argv = command(
        "build", request.dsc, "--result-dir", request.result_dir, "--shell-on-failure", "--shell-user", "root"
    )
    with on_a_terminal([*argv, "--timeout", "8"], os.environ) as terminal:
        await terminal.see(b"failed:")
        await asyncio.sleep(8)
        terminal.type(b"id -un; exit\n")
        await terminal.see(b"root\r\n")
        assert await terminal.ended() == 1


async def test_a_shell_on_failure_needs_a_terminal_and_says_so_before_it_builds(command, request_for):
    argv = command("build", request_for("false").dsc, "--shell-on-failure")
    result = await process.run(argv, check=False)
    assert result.returncode == 3
    assert b"--shell-on-failure needs a terminal" in result.output


async def test_a_missing_file_is_an_error_with_a_hint(command, tmp_path):
    result = await process.run(command("build", tmp_path / "none.dsc", "--json"), cwd=tmp_path, check=False)
    assert result.returncode == 3
    assert b"Traceback" not in result.output


async def test_another_user_is_told_that_root_is_needed_and_why(command, request_for, tmp_path):
    arguments = command("build", request_for().dsc)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    result = await process.run([*as_nobody, *arguments], cwd="/", check=False)
    assert result.returncode == 6
    assert b"need root" in result.output
    assert b"Traceback" not in result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_removes_the_buildroot(command, request_for, config, number):
    request = request_for("echo compiling; sleep 1000")
    arguments = command("build", request.dsc, "--result-dir", request.result_dir, "--verbose", "--json")
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*arguments, stdout=pipe, stderr=pipe)
    assert running.stderr is not None
    while (await running.stderr.readline()).strip() != b"compiling":
        assert running.returncode is None
    running.send_signal(number)
    answer, text = await running.communicate()
    assert running.returncode == 130
    assert json.loads(answer)["code"] == "canceled"
    assert f"{request.result_dir.name}_failed" in json.loads(answer)["message"]
    assert b"Traceback" not in text
    assert processes_of(config.state_dir) == []
    assert what_is_left(config.state_dir) == []


async def test_list_and_clean_can_be_read_by_a_program(command, engine, request_for, log):
    base = await engine.ensure_base(request_for().suite, request_for.last.architecture, on_log=log.extend)
    listed = json.loads((await process.run(command("list", "--json"))).output)
    assert base.name in [each["name"] for each in listed["bases"]]
    assert listed["buildroots"] == []
    cleaned = json.loads((await process.run(command("clean", "--json"))).output)
    assert cleaned == {"left behind": [], "expired": []}


async def test_exec_runs_a_command_as_root_of_a_clean_buildroot(command, config):
    arguments = command("exec", "--", "sh", "-c", "id -u; touch /mark; tail -n +3 /proc/net/dev | wc -l; exit 7")
    places = arguments[-4:]
    result = await process.run([*arguments[:4], *places, *arguments[4:-4]], check=False)
    assert result.output == b"0\n1\n"
    assert result.returncode == 7
    assert what_is_left(config.state_dir) == []
