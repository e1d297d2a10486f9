"""What each signal does to a stack: real signals to this process, and a stack that only says what was asked of it."""

import asyncio
import os
import signal

import pytest
import typer

from deborch_cli.local.ending import ended_by_signals


class FakeStack:
    """Stops when its `gone` is set, which killing it does."""

    def __init__(self) -> None:
        self.stopping = False
        self.gone = asyncio.Event()

    def kill(self):
        self.gone.set()

    async def stop(self):
        self.stopping = True
        await self.gone.wait()


async def send(number):
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_cancels_what_runs(number):
    with pytest.raises(typer.Exit) as caught:
        async with asyncio.timeout(5), ended_by_signals(FakeStack(), print):
            await send(number)
            await asyncio.Event().wait()
    assert caught.value.exit_code == 130


async def test_a_signal_while_it_stops_by_itself_is_answered_and_interrupts_nothing():
    stack, said = FakeStack(), []
    async with asyncio.timeout(5), ended_by_signals(stack, said.append):
        stopping = asyncio.create_task(stack.stop())
        await asyncio.sleep(0)
        await send(signal.SIGTERM)
        assert len(said) == 1 and "One more signal kills" in said[0]
        stack.gone.set()
        await stopping


async def test_a_second_signal_does_not_interrupt_the_stop_that_the_first_began_and_a_third_kills():
    stack, said = FakeStack(), []
    with pytest.raises(typer.Exit) as caught:
        async with asyncio.timeout(5), ended_by_signals(stack, said.append):
            try:
                await send(signal.SIGINT)
                await asyncio.Event().wait()
            finally:
                stopping = asyncio.create_task(stack.stop())
                await send(signal.SIGINT)
                assert not stack.gone.is_set()
                await send(signal.SIGINT)
                await stopping
    assert caught.value.exit_code == 130
    assert len(said) == 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_a_stop_that_was_killed_says_so_by_its_exit_code():
    stack = FakeStack()
    with pytest.raises(typer.Exit) as caught:
        async with asyncio.timeout(5), ended_by_signals(stack, print):
            stopping = asyncio.create_task(stack.stop())
            await asyncio.sleep(0)
            await send(signal.SIGTERM)
            await send(signal.SIGTERM)
            await stopping
    assert caught.value.exit_code == 130


async def test_a_cancellation_that_no_signal_asked_for_passes_through():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), ended_by_signals(FakeStack(), print):
            await asyncio.Event().wait()
