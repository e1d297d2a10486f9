"""Programs of the tools root see what they are given, and nothing of them is left."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools import roots
from deb_bootc_compose.tools.port import Bound
from deborch_shared.errors import DeborchError, ErrorCode


async def said(tools, *argv: str, network=False):
    return (await tools.run(argv, network=network)).output.decode()


async def test_a_program_sees_the_tools_and_not_the_host(tools, tmp_path):
    assert (await said(tools, "ostree", "--version")).startswith("libostree")
    (tmp_path / "secret").touch()
    assert "secret" not in await said(tools, "find", "/", "-xdev", "-name", "secret")
    assert await said(tools, "sh", "-c", "ls /proc | grep -c '^[0-9]'") != "0\n"
    assert "DEBORCH" not in await said(tools, "env")


async def test_there_is_no_network_unless_it_is_asked_for(tools):
    devices = "cat /proc/net/dev | tail -n +3 | cut -d: -f1"
    assert (await said(tools, "sh", "-c", devices)).split() == ["lo"]
    host = Path("/proc/net/dev").read_text().splitlines()[2:]
    assert len((await said(tools, "sh", "-c", devices, network=True)).split()) == len(host)


async def test_bound_directories_keep_what_is_written_if_they_are_writable(tools, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("from outside")
    (tmp_path / "out").mkdir()
    bound = [Bound(tmp_path / "in", inside="/given"), Bound(tmp_path / "out", writable=True)]
    await tools.run(["cp", "/given/file", f"{tmp_path}/out/"], bound=bound)
    assert (tmp_path / "out/file").read_text() == "from outside"
    with pytest.raises(DeborchError, match="Read-only"):
        await tools.run(["touch", "/given/other"], bound=bound)


async def test_what_is_written_elsewhere_is_gone_and_the_tools_root_is_as_it_was(tools):
    await tools.run(["touch", "/usr/new"])
    assert not (tools.root / "usr/new").exists()
    with pytest.raises(DeborchError):
        await tools.run(["test", "-e", "/usr/new"])


async def test_what_is_bound_cannot_be_put_where_the_tools_root_has_a_link(tools, tmp_path):
    with pytest.raises(DeborchError, match="has something else at /bin") as caught:
        await tools.run(["true"], bound=[Bound(tmp_path, inside="/bin/here")])
    assert caught.value.code is ErrorCode.SANDBOX_FAILED


async def test_a_missing_program_and_a_missing_path_are_named(tools, tmp_path):
    with pytest.raises(DeborchError, match="no-such-program could not be started"):
        await tools.run(["no-such-program"])
    with pytest.raises(DeborchError, match="absent"):
        await tools.run(["true"], bound=[Bound(tmp_path / "absent")])


async def test_a_failing_program_is_told_with_its_own_command_line(tools):
    with pytest.raises(DeborchError, match=r"^ostree refs --repo=/nowhere failed with exit code 1"):
        await tools.run(["ostree", "refs", "--repo=/nowhere"])


async def test_cancellation_waits_until_all_that_ran_is_gone(tools, tmp_path):
    """Even what left the session: nothing writes to the bound directory any more."""
    script = f"setsid sh -c 'while :; do date +%N > {tmp_path}/beat; done' & sleep 100"
    running = asyncio.create_task(tools.run(["sh", "-c", script], bound=[Bound(tmp_path, writable=True)]))
    while not (tmp_path / "beat").exists():
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    last = (tmp_path / "beat").read_text()
    await asyncio.sleep(0.1)
    assert (tmp_path / "beat").read_text() == last


ENDLESS = """
import asyncio, sys
from pathlib import Path
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.tools.room import run_in
place = Path(sys.argv[2])
asyncio.run(run_in(Path(sys.argv[1]), ["sh", "-c", f"while :; do date +%N > {place}/beat; done"],
    bound=[Bound(place, writable=True)]))
"""


def test_nothing_outlives_an_engine_that_is_killed(tools, tmp_path):
    engine = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tools.directory), str(tmp_path)])
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "beat").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / "beat").exists()
    finally:
        os.kill(engine.pid, signal.SIGKILL)
        engine.wait()
    time.sleep(0.3)
    last = (tmp_path / "beat").read_text()
    time.sleep(0.1)
    assert (tmp_path / "beat").read_text() == last
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


async def test_two_who_ask_at_once_make_one_tools_root(tmp_path, monkeypatch):
    made = []

    async def make_root(recipe, directory, *, proxies, on_step, on_output):
        made.append(recipe)
        await asyncio.sleep(0.3)
        (directory / "root").mkdir()
        (directory / "packages.json").write_text('{"ostree": "1"}')

    monkeypatch.setattr(roots, "make_root", make_root)
    state = State(tmp_path)
    first, second = await asyncio.gather(roots.open_tools(state), roots.open_tools(state))
    assert len(made) == 1
    assert first.digest == second.digest
    assert list(state.scratch.iterdir()) == []


async def test_a_tools_root_that_could_not_be_made_leaves_nothing(tmp_path, monkeypatch):
    async def make_root(recipe, directory, *, proxies, on_step, on_output):
        (directory / "root").mkdir()
        raise DeborchError(ErrorCode.FETCH_FAILED, "no network")

    monkeypatch.setattr(roots, "make_root", make_root)
    state = State(tmp_path)
    with pytest.raises(DeborchError, match="no network"):
        await roots.open_tools(state)
    assert list(state.scratch.iterdir()) == []
    assert not state.tools.exists()
