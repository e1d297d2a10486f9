"""Who fails to prove its identity too often: one token bucket for each source, in memory."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil

from deborch_shared.clock import Clock
from deborch_shared.errors import DeborchError, ErrorCode

_SOURCES_AT_MOST = 10_000
_KNOWN_GOOD_AT_MOST = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class FailureLimiter:
    """Lets each source fail `burst` times at once and `per_s` times a second after that.

    A credential id that has worked before is let through all the same, so that one misbehaving client does not lock
    out the others behind the same address.
    """

    def __init__(self, clock: Clock, *, burst: int = 20, per_s: float = 0.5) -> None:
        self._clock = clock
        self._burst = burst
        self._per_s = per_s
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._good: OrderedDict[str, None] = OrderedDict()

    def admit(self, address: str, credential_id: str | None = None) -> None:
        """Refuse `address` while it has failed too often.

        Raises:
            DeborchError: RATE_LIMITED, saying when to come back.
        """
        if credential_id in self._good:
            return
        bucket = self._refilled(_source(address))
        if bucket is not None and bucket.left < 1:
            raise DeborchError(
                ErrorCode.RATE_LIMITED,
                "too many failed attempts from this address",
                hint="check the key that your clients use, then wait as long as Retry-After says",
                retry_after_s=max(1, ceil((1 - bucket.left) / self._per_s)),
            )

    def failed(self, address: str) -> None:
        source = _source(address)
        bucket = self._refilled(source) or _Bucket(self._burst, self._clock.monotonic_s())
        bucket.left = max(0.0, bucket.left - 1)
        self._buckets[source] = bucket
        self._buckets.move_to_end(source)
        if len(self._buckets) > _SOURCES_AT_MOST:
            self._buckets.popitem(last=False)

    def succeeded(self, credential_id: str) -> None:
        self._good[credential_id] = None
        self._good.move_to_end(credential_id)
        if len(self._good) > _KNOWN_GOOD_AT_MOST:
            self._good.popitem(last=False)

    def _refilled(self, source: str) -> _Bucket | None:
        bucket = self._buckets.get(source)
        if bucket is None:
            return None
        now_s = self._clock.monotonic_s()
        bucket.left = min(self._burst, bucket.left + (now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        return bucket


def _source(address: str) -> str:
    """An IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else str(parsed)
