"""A clock moved by hand and a store in memory."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential
from deborch_auth.domain.failures import FailureLimiter
from deborch_auth.domain.model import ApiKey, Enrolment
from deborch_auth.domain.signing import SigningKey
from deborch_auth.handlers.context import Auth
from deborch_shared.security import Role

PEPPER = b"p" * 32


class FakeClock:
    """Starts a little before the real time, so that tokens verify now, and moves only when told to."""

    def __init__(self) -> None:
        self.set_to_now()

    def set_to_now(self) -> None:
        """Start again: a clock made when tests were collected may be far behind when they run."""
        self._now = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=300)
        self._monotonic_s = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    async def sleep(self, duration_s: float) -> None:
        self.advance(duration_s)

    def advance(self, duration_s: float) -> None:
        self._now += timedelta(seconds=duration_s)
        self._monotonic_s += duration_s


class FakeStore:
    """What token requests and key listings need, in dictionaries."""

    def __init__(self) -> None:
        self.kept: dict[str, ApiKey] = {}
        self.enrolments: dict[str, Enrolment] = {}
        self.signing: list[SigningKey] = []
        self.touched: list[str] = []

    async def ping(self) -> None:
        return None

    async def add_key(self, key: ApiKey) -> None:
        self.kept[key.id] = key

    async def key(self, key_id: str) -> ApiKey | None:
        return self.kept.get(key_id)

    async def keys(self, *, before: int | None, limit: int) -> list[tuple[int, ApiKey]]:
        numbered = reversed(list(enumerate(self.kept.values())))
        return [(number, key) for number, key in numbered if before is None or number < before][:limit]

    async def active_key_of_host(self, host: str) -> ApiKey | None:
        return next((key for key in self.kept.values() if key.host == host and key.revoked_at is None), None)

    async def touch(self, key_id: str, now: datetime) -> None:
        self.touched.append(key_id)

    async def revoke(self, key_id: str, *, now: datetime, by: str) -> ApiKey | None:
        if key_id in self.kept:
            self.kept[key_id] = replace(self.kept[key_id], revoked_at=now)
        return self.kept.get(key_id)

    async def add_enrolment(self, enrolment: Enrolment) -> None:
        self.enrolments[enrolment.id] = enrolment

    async def enrolment(self, enrolment_id: str) -> Enrolment | None:
        return self.enrolments.get(enrolment_id)

    async def signing_keys(self, now: datetime) -> list[SigningKey]:
        return [key for key in self.signing if key.expires_at > now]

    async def newest_signing_key(self, now: datetime, make: Callable[[], SigningKey]) -> SigningKey:
        if not self.signing or self.signing[0].signs_until <= now:
            self.signing.insert(0, make())
        return self.signing[0]


def make_auth(store: FakeStore, clock: FakeClock, **changes: int) -> Auth:
    settings = {"token_lifetime_s": 600, "signing_key_lifetime_s": 86_400} | changes
    return Auth(store=store, pepper=PEPPER, clock=clock, failures=FailureLimiter(clock), **settings)


def make_key(
    clock: FakeClock,
    role: Role = Role.ADMIN,
    *,
    scopes: frozenset[str] = frozenset(),
    host: str | None = None,
    **changes: datetime,
) -> tuple[ApiKey, Credential]:
    """A key as it is stored, and the credential that its holder has."""
    credential = new_credential(CredentialKind.HOST if host else CredentialKind.KEY)
    key = ApiKey(
        id=credential.id,
        kind=credential.kind,
        name="of a test",
        role=role,
        scopes=scopes,
        host=host,
        digest=credential.digest(PEPPER),
        created_at=clock.now(),
        created_by="test",
    )
    return replace(key, **changes), credential
