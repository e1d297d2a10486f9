"""Limits of a build: where they come from, and what is said when one is met."""

import pytest

from deb_mock.limits import check, full, limits_for, narrowed, over_limit
from deb_mock.watch import Watch
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Limits
from deborch_shared.sandbox.usage import ResourceUse

GIB = 1 << 30


@pytest.mark.parametrize(("memory", "left"), [(2 * GIB, GIB // 2), (8 * GIB, GIB), (100 * GIB, 10 * GIB)])
def test_a_build_may_have_all_memory_but_what_keeps_the_machine_usable(memory, left):
    assert memory - limits_for(memory, 4).memory_bytes == left


def test_processes_grow_with_the_cpus_up_to_a_bound():
    assert limits_for(8 * GIB, 2).pids == 4096
    assert limits_for(8 * GIB, 256).pids == 16_384


def test_what_a_build_asks_for_goes_before_what_is_configured():
    limits = narrowed(Limits(memory_bytes=GIB, pids=100), Limits(memory_bytes=2 * GIB, cpus=1.5))
    assert limits == Limits(memory_bytes=2 * GIB, cpus=1.5, pids=100)


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


def watch(idle_s=None, free_bytes=None):
    limits = Limits(pids=10, disk_free_bytes=100)
    return Watch("make", None, limits, free_bytes=free_bytes, idle_s=idle_s, on_sample=None)


def test_a_build_is_ended_before_the_disk_is_full_for_all():
    error = watch(free_bytes=lambda: 99).reason_to_end(ResourceUse(), 0)
    assert error is not None
    assert (error.code, error.fields["failure_class"]) == (ErrorCode.DISK_FULL, "chroot-fault")
    assert watch(free_bytes=lambda: 100).reason_to_end(ResourceUse(), 0) is None


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
