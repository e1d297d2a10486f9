"""Commands of a sandbox on a terminal, with input, and on changes that stay."""

import asyncio
import os
import pty
import signal
import struct
import termios
from dataclasses import replace
from fcntl import ioctl

import pytest

from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.terminal import UserTerminal


class Typist:
    """A person at a real pseudo-terminal."""

    def __init__(self) -> None:
        self.keys, self.screen = pty.openpty()
        self.resize(24, 80)
        self.seen = b""

    def resize(self, rows, columns):
        ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.keys, keys)

    async def see(self, text):
        async with asyncio.timeout(20):
            while text not in self.seen:
                self.seen += await asyncio.to_thread(os.read, self.keys, 4096)


@pytest.fixture
def typist():
    person = Typist()
    yield person
    os.close(person.keys)
    os.close(person.screen)


async def test_a_shell_has_a_terminal_of_the_sandbox_with_size_signals_and_exit_code(spec, typist):
    before = termios.tcgetattr(typist.screen)
    async with open_sandbox(spec) as sandbox:
        terminal = UserTerminal(typist.screen, typist.screen)
        shell = asyncio.create_task(sandbox.run_in_terminal(["sh", "-i"], terminal, uid=59_000, env={"PS1": "> "}))
        await typist.see(b"> ")
        typist.press(b"tty; stty size; echo user-$(id -u)\n")
        await typist.see(b"/dev/pts/0")
        await typist.see(b"24 80")
        await typist.see(b"user-59000")
        typist.resize(50, 132)
        os.kill(os.getpid(), signal.SIGWINCH)
        await asyncio.sleep(0.1)
        typist.press(b"stty size\n")
        await typist.see(b"50 132")
        typist.press(b"sleep 1000; echo ended-$?\n")
        await asyncio.sleep(0.3)
        typist.press(b"\x03")
        typist.press(b"echo after-$((40+2)); exit 7\n")
        await typist.see(b"after-42")
        assert await shell == 7
    assert termios.tcgetattr(typist.screen) == before


async def test_a_paste_that_nobody_reads_yet_does_not_stop_the_output(spec, typist):
    async with open_sandbox(spec) as sandbox:
        terminal = UserTerminal(typist.screen, typist.screen)
        command = ["sh", "-c", "stty raw -echo; echo ready; sleep 1; echo still-here; head -c 100000 | wc -c"]
        shell = asyncio.create_task(sandbox.run_in_terminal(command, terminal))
        await typist.see(b"ready")
        pasting = asyncio.create_task(asyncio.to_thread(typist.press, b"x" * 100_000))
        await typist.see(b"still-here")
        await typist.see(b"100000")
        await pasting
        assert await shell == 0


async def test_cancelling_ends_the_shell_and_gives_the_terminal_back(spec, typist):
    before = termios.tcgetattr(typist.screen)
    async with open_sandbox(spec) as sandbox:
        terminal = UserTerminal(typist.screen, typist.screen)
        shell = asyncio.create_task(sandbox.run_in_terminal(["sh", "-c", "echo up; sleep 1000"], terminal))
        await typist.see(b"up")
        shell.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shell
        assert termios.tcgetattr(typist.screen) == before
        assert (await sandbox.run(["sh", "-c", "pidof sleep || echo none"])).output == b"none\n"


async def test_a_command_reads_what_it_is_given_and_nothing_otherwise(spec):
    async with open_sandbox(spec) as sandbox:
        read_end, write_end = os.pipe()
        os.write(write_end, b"given\n")
        os.close(write_end)
        assert (await sandbox.run(["cat"], stdin=read_end)).output == b"given\n"
        os.close(read_end)
        assert (await sandbox.run(["cat"])).output == b""


async def test_changes_of_a_persistent_upper_are_there_the_next_time(spec, tmp_path, ids):
    upper = tmp_path / "kept"
    upper.mkdir()
    os.chown(upper, ids.first if ids else 0, ids.first if ids else 0)
    kept = replace(spec, upper=upper, persistent=True)
    async with open_sandbox(kept) as sandbox:
        await sandbox.run(["sh", "-c", "echo mine > /etc/mine"])
    async with open_sandbox(kept) as sandbox:
        assert (await sandbox.run(["cat", "/etc/mine"])).output == b"mine\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("kept")] == ["kept"]
