"""The runner against real processes, under both event loops."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import run


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def wait_for_text(path: Path) -> str:
    for _ in range(500):
        if (text := text_of(path)).endswith("\n"):
            return text
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} was never written")


async def wait_until_dead(pid: int) -> None:
    for _ in range(200):
        if not is_alive(pid):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"process {pid} is still there")


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


async def test_output_of_both_streams_comes_back_in_order():
    result = await run(["/bin/sh", "-c", "echo one; echo two >&2; echo three"])
    assert result.output == b"one\ntwo\nthree\n"
    assert (result.returncode, result.truncated) == (0, False)


async def test_stdin_larger_than_a_pipe_arrives_whole():
    sent = os.urandom(1 << 20)
    assert (await run(["/bin/cat"], stdin=sent)).output == sent


async def test_no_stdin_means_end_of_file_at_once():
    assert (await run(["/bin/cat"], timeout_s=5)).output == b""


async def test_environment_is_only_what_is_given(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "1")
    assert (await run(["/usr/bin/env"], env={"A": "b"})).output == b"A=b\n"
    default = (await run(["/usr/bin/env"])).output.decode()
    assert {line.partition("=")[0] for line in default.splitlines()} == {"PATH", "LANG"}


async def test_exit_code_raises_with_the_end_of_the_output():
    with pytest.raises(DeborchError) as caught:
        await run(["/bin/sh", "-c", "echo the reason; exit 3"])
    assert caught.value.code is ErrorCode.PROCESS_FAILED
    assert caught.value.fields["returncode"] == 3
    assert "the reason" in str(caught.value)


async def test_exit_code_is_returned_if_not_checked():
    assert (await run(["/bin/sh", "-c", "exit 3"], check=False)).returncode == 3
    assert (await run(["/bin/sh", "-c", "kill -9 $$"], check=False)).returncode == -9


async def test_missing_program_says_what_to_install():
    with pytest.raises(DeborchError) as caught:
        await run(["no-such-program"])
    assert caught.value.fields["reason"] == "start"
    assert "no-such-program" in caught.value.hint


async def test_missing_directory_is_not_taken_for_a_missing_program(tmp_path):
    with pytest.raises(DeborchError) as caught:
        await run(["/bin/true"], cwd=tmp_path / "gone")
    assert "install" not in caught.value.hint


async def test_error_holds_a_bounded_part_of_foreign_output():
    with pytest.raises(DeborchError) as caught:
        await run(python("print('x' * 1000000); raise SystemExit(1)"))
    assert len(str(caught.value)) < 5_000


async def test_timeout_ends_the_whole_group_even_if_it_ignores_sigterm(tmp_path):
    script = f"trap '' TERM; sleep 100 & echo $! > {tmp_path}/pid; wait; sleep 100"
    started = time.monotonic()
    with pytest.raises(DeborchError) as caught:
        await run(["/bin/sh", "-c", script], timeout_s=0.5, grace_s=0.2)
    assert caught.value.code is ErrorCode.PROCESS_TIMEOUT
    assert time.monotonic() - started < 3
    await wait_until_dead(int((tmp_path / "pid").read_text()))


async def test_program_gets_the_chance_to_clean_up_before_it_is_killed(tmp_path):
    script = f"trap 'echo clean > {tmp_path}/mark; exit' TERM; echo up > {tmp_path}/up; while :; do sleep 0.02; done"
    task = asyncio.create_task(run(["/bin/sh", "-c", script]))
    await wait_for_text(tmp_path / "up")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "mark").read_text() == "clean\n"


async def test_cancellation_ends_the_whole_group(tmp_path):
    task = asyncio.create_task(run(["/bin/sh", "-c", f"sleep 100 & echo $! > {tmp_path}/pid; wait"]))
    pid = int(await wait_for_text(tmp_path / "pid"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_dead(pid)


async def test_what_a_program_leaves_behind_in_its_group_is_ended(tmp_path):
    started = time.monotonic()
    await run(["/bin/sh", "-c", f"sleep 100 & echo $! > {tmp_path}/pid"])
    assert time.monotonic() - started < 3
    await wait_until_dead(int((tmp_path / "pid").read_text()))


async def test_a_daemon_that_left_the_session_and_holds_the_output_does_not_hang_the_call(tmp_path):
    started = time.monotonic()
    pid = tmp_path / "pid"
    leave = f"setsid -f sh -c 'echo $$ > {pid}; exec sleep 100'; until [ -s {pid} ]; do sleep 0.01; done"
    await run(["/bin/sh", "-c", leave])
    assert time.monotonic() - started < 5
    os.kill(int(await wait_for_text(pid)), signal.SIGKILL)


async def test_too_much_output_ends_the_program():
    with pytest.raises(DeborchError) as caught:
        await run(["/bin/sh", "-c", "while :; do echo flood; done"], max_output_bytes=100_000, timeout_s=20)
    assert caught.value.fields["reason"] == "output-limit"


async def test_only_the_end_of_long_output_is_kept():
    result = await run(python("print('x' * 1000000 + 'end', end='')"), kept_bytes=1000)
    assert result.truncated
    assert len(result.output) == 1000
    assert result.output.endswith(b"xend")


async def test_slow_receiver_slows_the_program_down():
    chunks: list[bytes] = []

    async def slow(chunk: bytes) -> None:
        await asyncio.sleep(0.001)
        chunks.append(chunk)

    result = await run(python("print('x' * 3000000)"), on_output=slow)
    assert sum(map(len, chunks)) == 3_000_001 == len(result.output)


async def test_error_of_the_receiver_ends_the_program_and_is_raised(tmp_path):
    def broken(_: bytes) -> None:
        raise ValueError("receiver is broken")

    with pytest.raises(ValueError, match="receiver is broken"):
        await run(["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; echo x; exec sleep 100"], on_output=broken)
    await wait_until_dead(int((tmp_path / "pid").read_text()))


async def test_cpu_time_of_children_is_counted():
    result = await run(["/bin/sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
    assert 0.02 < result.cpu_s < result.wall_s + 0.5


async def test_many_at_once_do_not_mix_their_output():
    results = await asyncio.gather(*(run(["/bin/echo", str(number)]) for number in range(40)))
    assert [result.output for result in results] == [f"{number}\n".encode() for number in range(40)]
