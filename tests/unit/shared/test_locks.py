"""Locks between processes, here between descriptors of one: flock(2) does not tell them apart."""

import asyncio
import threading
import time

from deborch_shared import locks


def test_many_may_hold_a_lock_together_and_then_nobody_alone(tmp_path):
    path = tmp_path / "lock"
    with locks.shared_if_free(path) as first, locks.shared_if_free(path) as second:
        assert (first, second) == (True, True)
        assert locks.is_held(path)
        with locks.exclusive_if_free(path) as alone:
            assert not alone
    assert not locks.is_held(path)


def test_asking_whether_it_is_held_does_not_disturb_who_takes_it(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    done = threading.Event()

    def ask():
        while not done.is_set():
            locks.is_held(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            with locks.shared_if_free(path) as free:
                assert free
    finally:
        done.set()
        asking.join()


def test_who_has_it_alone_is_not_waited_for(tmp_path):
    path = tmp_path / "lock"
    with locks.exclusive_if_free(path):
        began_s = time.monotonic()
        with locks.shared_if_free(path) as free:
            assert not free
        assert time.monotonic() - began_s < 1


async def test_a_lock_whose_file_is_removed_by_its_holder_is_still_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "lock"
    inside = most = 0

    async def work():
        nonlocal inside, most
        async with locks.exclusive(path, on_wait=lambda: None, remove=True):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(6)))
    assert most == 1
    assert not path.exists()


def test_a_directory_that_is_not_there_cannot_be_held(tmp_path):
    with locks.directory_if_free(tmp_path / "none", alone=False) as there:
        assert not there
