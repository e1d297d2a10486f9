import pytest
from tests.unit.auth.fakes import FakeClock

from deborch_auth.domain.failures import FailureLimiter
from deborch_shared.errors import DeborchError, ErrorCode


def fail(limiter: FailureLimiter, address: str, times: int) -> None:
    for _ in range(times):
        limiter.admit(address)
        limiter.failed(address)


def test_a_source_is_refused_after_its_burst_of_failures_and_told_when_to_return():
    limiter = FailureLimiter(FakeClock(), burst=3, per_s=0.1)
    fail(limiter, "192.0.2.1", 3)
    with pytest.raises(DeborchError) as refused:
        limiter.admit("192.0.2.1")
    assert refused.value.code is ErrorCode.RATE_LIMITED
    assert refused.value.fields["retry_after_s"] == 10


def test_it_is_admitted_again_after_the_time_it_was_told():
    clock = FakeClock()
    limiter = FailureLimiter(clock, burst=3, per_s=0.1)
    fail(limiter, "192.0.2.1", 3)
    clock.advance(9.9)
    with pytest.raises(DeborchError):
        limiter.admit("192.0.2.1")
    clock.advance(0.1)
    limiter.admit("192.0.2.1")


def test_other_sources_and_those_that_succeed_are_not_held_up():
    limiter = FailureLimiter(FakeClock(), burst=1, per_s=0.1)
    fail(limiter, "192.0.2.1", 1)
    limiter.admit("192.0.2.2")
    for _ in range(100):
        limiter.admit("192.0.2.3")


def test_a_credential_that_has_worked_passes_beside_a_failing_client_at_the_same_address():
    limiter = FailureLimiter(FakeClock(), burst=1, per_s=0.1)
    limiter.succeeded("aa")
    fail(limiter, "192.0.2.1", 1)
    limiter.admit("192.0.2.1", "aa")
    with pytest.raises(DeborchError):
        limiter.admit("192.0.2.1", "bb")


def test_all_addresses_of_one_ipv6_network_share_their_failures():
    limiter = FailureLimiter(FakeClock(), burst=2, per_s=0.1)
    fail(limiter, "2001:db8::1", 1)
    fail(limiter, "2001:db8:0:0:ffff::2", 1)
    with pytest.raises(DeborchError):
        limiter.admit("2001:db8::3")
    limiter.admit("2001:db8:0:1::1")


def test_memory_is_bounded_however_many_sources_fail():
    limiter = FailureLimiter(FakeClock(), burst=1, per_s=0.1)
    for number in range(12_000):
        limiter.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limiter._buckets) <= 10_000
