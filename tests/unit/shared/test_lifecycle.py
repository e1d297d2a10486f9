import asyncio
import signal
import sys
import textwrap

import orjson
import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.lifecycle import Lifecycle

PREAMBLE = """
import asyncio
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.lifecycle import run_service

def say(text):
    print(text, flush=True)
"""


async def start(body: str, drain_timeout_s: float | None = None) -> asyncio.subprocess.Process:
    run = f"\nrun_service('trial', main, drain_timeout_s={drain_timeout_s})\n"
    program = PREAMBLE + textwrap.dedent(body) + run
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def said(process: asyncio.subprocess.Process, text: str) -> None:
    assert (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip() == text


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, out.decode(), err.decode()


DRAINING = """
    async def part():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            say("finished what was under way")

    async def main(lifecycle):
        say("up")
        await lifecycle.run_until_stopped(part(), part())
        say("left in order")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_every_part_finish_and_ends_with_success(number):
    process = await start(DRAINING)
    await said(process, "up")
    process.send_signal(number)
    code, out, err = await ended(process)
    assert (code, out.splitlines()) == (0, ["finished what was under way"] * 2 + ["left in order"])
    assert f"{number.name}: draining" in err


async def test_a_second_signal_ends_a_drain_that_hangs():
    process = await start("""
        async def part():
            try:
                await asyncio.sleep(60)
            finally:
                say("draining")
                await asyncio.sleep(60)

        async def main(lifecycle):
            say("up")
            await lifecycle.run_until_stopped(part())
    """)
    await said(process, "up")
    process.send_signal(signal.SIGTERM)
    await said(process, "draining")
    process.send_signal(signal.SIGTERM)
    code, _, err = await ended(process)
    assert code == 130
    assert "ending at once" in err


OVERDUE = {
    "a part that does not let go": """
        async def flushed():
            await asyncio.sleep(60)

        async def relay():
            try:
                await asyncio.sleep(60)
            finally:
                await flushed()

        async def main(lifecycle):
            say("up")
            await lifecycle.run_until_stopped(relay(), asyncio.sleep(60))
    """,
    "what comes after the parts": """
        async def flushed():
            await asyncio.sleep(60)

        async def main(lifecycle):
            say("up")
            await lifecycle.run_until_stopped()
            await flushed()
    """,
    "a loop that is blocked": """
        import time

        async def flushed():
            time.sleep(60)

        async def main(lifecycle):
            say("up")
            await lifecycle.run_until_stopped()
            await flushed()
    """,
    "a thread that keeps the process": """
        import threading, time

        async def main(lifecycle):
            threading.Thread(target=time.sleep, args=(60,), name="flushed").start()
            say("up")
            await lifecycle.run_until_stopped()
    """,
}


@pytest.mark.parametrize("body", OVERDUE.values(), ids=OVERDUE.keys())
async def test_a_drain_that_takes_too_long_ends_anyway_and_says_what_was_in_work(body):
    process = await start(body, drain_timeout_s=0.3)
    await said(process, "up")
    process.send_signal(signal.SIGTERM)
    code, _, err = await ended(process)
    last = orjson.loads(err.splitlines()[-1])
    assert (code, last["level"]) == (1, "ERROR")
    assert "ending after 0.3 s of draining" in last["message"]
    assert "flushed" in last["message"]


async def test_a_drain_in_time_ends_with_success():
    process = await start(DRAINING, drain_timeout_s=10)
    await said(process, "up")
    process.send_signal(signal.SIGTERM)
    code, out, err = await ended(process)
    assert (code, out.splitlines()[-1]) == (0, "left in order")
    assert "still in work" not in err


@pytest.mark.parametrize(
    "body",
    [
        "async def main(_):\n    raise DeborchError(ErrorCode.PORT_TAKEN, 'port 80 is taken', hint='set another')",
        """
        async def part():
            raise DeborchError(ErrorCode.PORT_TAKEN, 'port 80 is taken', hint='set another')

        async def main(lifecycle):
            await lifecycle.run_until_stopped(part(), asyncio.sleep(60))
        """,
    ],
    ids=["at start", "in a part"],
)
async def test_a_known_error_is_one_line_with_its_hint_and_no_traceback(body):
    code, _, err = await ended(await start(body))
    (line,) = [orjson.loads(line) for line in err.splitlines()]
    assert code == 1
    assert line["level"] == "CRITICAL"
    assert "port 80 is taken (set another)" in line["message"]
    assert "exception" not in line


@pytest.mark.parametrize(
    "body",
    [
        "async def main(_):\n    raise RuntimeError('a bug')",
        """
        async def part():
            raise RuntimeError('a bug')

        async def main(lifecycle):
            await lifecycle.run_until_stopped(part())
        """,
    ],
    ids=["at start", "in a part"],
)
async def test_an_unexpected_error_is_one_json_line_with_its_traceback(body):
    code, _, err = await ended(await start(body))
    (line,) = [orjson.loads(line) for line in err.splitlines()]
    assert code == 1
    assert "RuntimeError: a bug" in line["exception"]


async def test_a_part_that_fails_stops_the_others():
    stopped = asyncio.Event()

    async def steady() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async def failing() -> None:
        raise DeborchError(ErrorCode.INTERNAL, "broken")

    with pytest.raises(ExceptionGroup):
        await Lifecycle().run_until_stopped(steady(), failing())
    assert stopped.is_set()
