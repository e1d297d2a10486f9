"""What every handler works with, wired once in `__main__`."""

from dataclasses import dataclass, field

from deborch_auth.domain.failures import FailureLimiter
from deborch_auth.domain.signing import SigningKey
from deborch_auth.store.store import Store
from deborch_shared.clock import Clock


@dataclass(slots=True)
class Auth:
    """The store, the pepper, the clock, who failed lately, and the key that signs now."""

    store: Store
    pepper: bytes = field(repr=False)
    clock: Clock
    failures: FailureLimiter
    token_lifetime_s: int
    signing_key_lifetime_s: int
    signing_key: SigningKey | None = None
