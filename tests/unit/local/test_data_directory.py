"""Ports, files and locks of a local stack's data directory."""

import asyncio
import os
import socket

import pytest

from deborch_cli.local import ports
from deborch_cli.local.data_directory import DirectoryLock
from deborch_cli.local.files import read_json, require_space, write_json
from deborch_cli.local.instance_lock import take, wait_until_free
from deborch_shared.errors import DeborchError, ErrorCode


def test_a_second_stack_is_told_which_process_holds_the_directory(tmp_path):
    with DirectoryLock(tmp_path / "lock"):
        with pytest.raises(DeborchError, match=f"process {os.getpid()}") as caught, DirectoryLock(tmp_path / "lock"):
            pass
        assert caught.value.code is ErrorCode.CONFLICT
    with DirectoryLock(tmp_path / "lock"):
        pass


async def test_a_start_waits_for_an_earlier_instance_to_be_gone(tmp_path):
    held = take(tmp_path / "lock", "hub")
    waiting = asyncio.create_task(wait_until_free(tmp_path / "lock", "hub"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    os.close(held)
    await asyncio.wait_for(waiting, 5)


async def test_an_earlier_instance_that_never_ends_is_an_error(tmp_path):
    held = take(tmp_path / "lock", "hub")
    with pytest.raises(DeborchError, match="hub of an earlier start still runs") as caught:
        await wait_until_free(tmp_path / "lock", "hub", wait_s=0.1)
    assert caught.value.code is ErrorCode.CONFLICT
    os.close(held)


def test_the_port_of_last_time_is_used_while_nobody_else_has_it():
    with socket.socket() as other:
        other.bind((ports.LOOPBACK, 0))
        taken = other.getsockname()[1]
        other.listen()
        assert ports.kept_or_free([taken], 1) != [taken]
    assert ports.kept_or_free([taken], 1) == [taken]


def test_free_ports_are_all_different():
    assert len(set(ports.free_ports(50))) == 50


def test_a_state_file_is_private_and_comes_back_as_it_was_written(tmp_path):
    write_json(tmp_path / "state.json", {"port": 1})
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    assert read_json(tmp_path / "state.json") == {"port": 1}
    assert read_json(tmp_path / "none.json") == {}


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_state_file_is_an_error_with_a_hint(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(DeborchError, match="damaged") as caught:
        read_json(tmp_path / "state.json")
    assert caught.value.hint


def test_too_little_disk_is_told_before_anything_begins(tmp_path):
    with pytest.raises(DeborchError, match="MiB are free") as caught:
        require_space(tmp_path, 1 << 60, "the stack")
    assert caught.value.code is ErrorCode.DISK_FULL
