"""Records: who owns what on disk, and what is removed when."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.record import ProcessIdentity, Record, claim, owned, record_path, records, recover
from deborch_shared.sandbox.spec import Lower, SandboxSpec


def identity_of_a_dead_process():
    return replace(ProcessIdentity.of(os.getpid()), started_ticks=1)


def test_a_later_process_with_the_same_pid_is_another_process():
    assert ProcessIdentity.of(os.getpid()).is_alive()
    assert not identity_of_a_dead_process().is_alive()
    assert not replace(ProcessIdentity.of(os.getpid()), boot_id="before the reboot").is_alive()


def test_a_process_that_is_not_there_has_no_identity():
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(2**22 + 1)


async def test_recover_removes_what_dead_owners_left_and_nothing_else(tmp_path):
    state = tmp_path / "state"
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for path in (mine, theirs):
        (path / "deep").mkdir(parents=True)
    claim(state, "alive", [mine])
    replace(claim(state, "dead", [theirs]), owner=identity_of_a_dead_process()).write(state)
    assert [entry.name for entry in await recover(state)] == ["dead"]
    assert mine.exists()
    assert not theirs.exists()
    assert [entry.name for entry in records(state)] == ["alive"]
    assert await recover(state) == []


async def test_recover_follows_no_links(tmp_path):
    state, precious = tmp_path / "state", tmp_path / "precious"
    precious.mkdir()
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "link").symlink_to(precious)
    replace(claim(state, "dead", [trap]), owner=identity_of_a_dead_process()).write(state)
    await recover(state)
    assert precious.exists()
    assert not trap.exists()


async def test_owned_paths_go_with_the_block_even_if_it_fails(tmp_path):
    path = tmp_path / "path"
    with pytest.raises(KeyError):
        async with owned(tmp_path / "state", "name", [path]):
            path.mkdir()
            raise KeyError
    assert not path.exists()
    assert records(tmp_path / "state") == []


def test_a_record_is_read_as_it_was_written(tmp_path):
    me = ProcessIdentity.of(os.getpid())
    entry = Record("name", me, me, ("/a", "/b"))
    entry.write(tmp_path)
    assert records(tmp_path) == [entry]


@pytest.mark.parametrize("bad", ["/has:colon", "/has,comma", "/has\\backslash", "relative"])
def test_paths_that_overlayfs_would_misread_are_refused(tmp_path, bad):
    spec = SandboxSpec(directory=tmp_path / "box", lowers=(Lower(type(tmp_path)(bad), map_ids=False),))
    with pytest.raises(DeborchError) as caught:
        spec.to_message()
    assert caught.value.code is ErrorCode.UNSAFE_PATH


@pytest.mark.parametrize("content", ["", "\0" * 100, "[]", '{"name": "broken"}', '{"name": "bro'])
async def test_a_record_that_a_power_cut_emptied_is_cleaned_up_and_stops_nothing(tmp_path, content):
    state = tmp_path / "state"
    (state / "broken" / "deep").mkdir(parents=True)
    record_path(state, "broken").write_text(content)
    replace(claim(state, "dead", [tmp_path / "dead"]), owner=identity_of_a_dead_process()).write(state)
    claim(state, "alive", [])
    assert [entry.name for entry in records(state)] == ["alive", "broken", "dead"]
    assert [entry.name for entry in await recover(state)] == ["broken", "dead"]
    assert [path.name for path in state.iterdir()] == ["alive.sandbox.json"]


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_broken_record_never_names_what_lies_above_it(tmp_path, name):
    state = tmp_path / "state"
    (state / "precious").mkdir(parents=True)
    record_path(state, name).write_text("")
    await recover(state)
    assert list(state.iterdir()) == [state / "precious"]


def test_a_record_is_on_disk_before_it_is_seen(tmp_path, monkeypatch):
    synced = []
    me = ProcessIdentity.of(os.getpid())

    def fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path, record_path(tmp_path, "one").exists()))
        if path.is_file():
            assert json.loads(path.read_text())["name"] == "one"

    monkeypatch.setattr(os, "fsync", fsync)
    Record("one", me, None, ()).write(tmp_path, durable=True)
    assert synced == [(tmp_path / f".one.{os.getpid()}.new", False), (tmp_path, True)]


async def test_cancels_while_owned_paths_are_removed_leave_neither_paths_nor_record(tmp_path):
    path, left = tmp_path / "path", asyncio.Event()

    async def work():
        async with owned(tmp_path / "state", "name", [path]):
            for number in range(1000):
                (path / str(number % 50) / str(number)).mkdir(parents=True)
            left.set()

    task = asyncio.create_task(work())
    await left.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    assert not path.exists()
    assert records(tmp_path / "state") == []
