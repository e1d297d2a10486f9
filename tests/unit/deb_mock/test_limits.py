"""Limits of a build: where they come from, and what is said when one is met."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from deb_mock.builds.package_build import explained
from deb_mock.host.disk_space import DiskSpace
from deb_mock.stages.limits import check, configured, full, limits_for, machine_limits, narrowed, over_limit
from deb_mock.stages.watch import Watch
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.spec import Limits
from deborch_shared.sandbox.usage import ResourceUse

GIB = 1 << 30


@pytest.mark.parametrize(("memory", "left"), [(2 * GIB, GIB // 2), (8 * GIB, GIB), (100 * GIB, 10 * GIB)])
def test_a_build_may_have_all_memory_but_what_keeps_the_machine_usable(memory, left):
    assert memory - limits_for(memory, 4).memory_bytes == left


def test_processes_grow_with_the_cpus_up_to_a_bound():
    assert limits_for(8 * GIB, 2).pids == 4096
    assert limits_for(8 * GIB, 256).pids == 16_384


def test_a_build_gets_the_stricter_of_what_it_asks_for_and_what_is_configured():
    most = Limits(memory_bytes=GIB, pids=100, disk_free_bytes=50)
    assert narrowed(most, Limits(memory_bytes=2 * GIB, cpus=1.5, disk_free_bytes=1)) == replace(most, cpus=1.5)
    assert narrowed(most, Limits(memory_bytes=GIB // 2, pids=101)) == replace(most, memory_bytes=GIB // 2)
    assert narrowed(most, Limits(disk_free_bytes=60)) == replace(most, disk_free_bytes=60)
    assert narrowed(None, Limits(pids=1 << 30)) == machine_limits()


def test_the_operator_may_allow_more_than_a_machine_of_its_size_gets():
    assert configured(Limits(pids=1 << 20)) == replace(machine_limits(), pids=1 << 20)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(DeborchError) as caught:
        check(Limits(pids=0))
    assert caught.value.code is ErrorCode.INVALID_INPUT
    assert "pids" in caught.value.message


def test_a_failure_with_memory_used_up_names_the_limit():
    error = over_limit("make", ResourceUse(oom_kills=2), Limits(memory_bytes=3 * GIB))
    assert error is not None
    assert error.fields["failure_class"] == "killed-oom"
    assert "3.0 GiB" in error.message


def test_a_failure_below_every_limit_is_none_of_theirs():
    assert over_limit("make", ResourceUse(), Limits(memory_bytes=GIB)) is None


def test_a_full_share_is_the_builds_own_doing_and_a_full_disk_is_not():
    assert full(GIB).fields["failure_class"] == "killed-limit"
    assert not full(GIB).temporary
    assert full(None).fields["failure_class"] == "chroot-fault"
    assert full(None).temporary


def watch(idle_s=None, space=None, meter=None):
    limits = Limits(pids=10, disk_free_bytes=100)
    return Watch("make", meter, limits, space=None if space is None else lambda: space, idle_s=idle_s, on_sample=None)


def test_a_build_is_ended_before_the_disk_is_full_for_all():
    error = watch(space=DiskSpace(99, 1000)).reason_to_end(ResourceUse(), 0)
    assert error is not None
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.DISK_FULL, "chroot-fault")
    assert watch(space=DiskSpace(100, 1000)).reason_to_end(ResourceUse(), 0) is None


def test_a_build_is_ended_before_the_disk_can_have_no_more_files():
    error = watch(space=DiskSpace(GIB, GIB, files_left=99, files=10_000)).reason_to_end(ResourceUse(), 0)
    assert error is not None
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.DISK_FULL, "chroot-fault")
    assert watch(space=DiskSpace(GIB, GIB, files_left=100, files=10_000)).reason_to_end(ResourceUse(), 0) is None
    assert watch(space=DiskSpace(GIB, GIB)).reason_to_end(ResourceUse(), 0) is None


async def test_a_command_whose_limits_nobody_can_look_after_any_more_is_ended(monkeypatch):
    class Broken:
        def read(self):
            raise OSError(19, "No such device")

    monkeypatch.setattr("deb_mock.stages.watch.INTERVAL_S", 0.01)
    with pytest.raises(DeborchError, match="No such device") as caught:
        async with watch(meter=Broken()).over():
            await asyncio.sleep(30)
    assert caught.value.fields["failure_class"] == "chroot-fault"


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (DiskSpace(50 * GIB, 100 * GIB, 10**6, 10**7), "compile"),
        (DiskSpace(30 << 20, GIB), "killed-limit"),
        (DiskSpace(GIB // 2, GIB, files_left=0, files=1000), "killed-limit"),
    ],
)
def test_a_program_that_says_that_there_is_no_space_is_believed_only_if_there_is_none(monkeypatch, space, expected):
    monkeypatch.setattr(DiskSpace, "of", lambda _: space)
    sandbox = SimpleNamespace(workspace_fd=-1, scratch_bytes=GIB)
    result = ProcessResult(1, b"E: No space left on device\n", truncated=False, wall_s=1.0, cpu_s=1.0)
    assert explained(sandbox, "make", result).fields["failure_class"] == expected


def test_a_silent_command_is_ended_only_if_there_is_a_limit():
    error = watch(idle_s=60).reason_to_end(ResourceUse(), 61)
    assert error is not None
    assert error.fields["failure_class"] == "log-idle"
    assert watch(idle_s=60).reason_to_end(ResourceUse(), 59) is None
    assert watch().reason_to_end(ResourceUse(), 1e9) is None


def test_a_short_peak_of_processes_is_no_reason_and_a_bomb_is():
    peak = watch()
    assert [peak.reason_to_end(ResourceUse(forks_refused=7), 0) for _ in range(20)] == [None] * 20
    bomb = watch()
    errors = [bomb.reason_to_end(ResourceUse(forks_refused=number), 0) for number in range(1, 6)]
    assert errors[:4] == [None] * 4
    assert errors[4].fields["failure_class"] == "killed-limit"


def test_use_adds_up_and_peaks_stay_peaks():
    one = ResourceUse(cpu_user_s=1.0, cpu_system_s=0.5, memory_peak_bytes=10, read_bytes=None, oom_kills=1)
    other = ResourceUse(cpu_user_s=2.0, cpu_system_s=0.5, memory_peak_bytes=7, read_bytes=3)
    both = one.then(other)
    assert (both.cpu_s, both.memory_peak_bytes, both.read_bytes, both.oom_kills) == (4.0, 10, 3, 1)
