"""The same request sent twice with one `Idempotency-Key` is done once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deborch_hub.handlers.port import Idempotency
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Principal


@dataclass(frozen=True, slots=True)
class Done:
    """The id of what was made, and whether an earlier request made it."""

    value: int
    repeated: bool


async def once_only(work: Work, by: Principal, once: Idempotency | None, make: Callable[[], Awaitable[int]]) -> Done:
    """Run `make`, or give what it made before.

    Raises:
        DeborchError: CONFLICT if the key was used for another request.
    """
    if once is None:
        return Done(await make(), repeated=False)
    await work.connection.execute(SQL["lock_idempotency_key"], by.subject, once.key)
    earlier = await work.connection.fetchrow(SQL["idempotent_result"], by.subject, once.key)
    if earlier is not None:
        if bytes(earlier["request"]) != once.request:
            raise DeborchError(
                ErrorCode.CONFLICT, "this Idempotency-Key was used for another request", hint="use a new key"
            )
        return Done(int(earlier["result_id"]), repeated=True)
    value = await make()
    claimed = await work.connection.fetchval(SQL["claim_idempotency_key"], by.subject, once.key, once.request, value)
    if claimed is None:
        raise DeborchError(ErrorCode.CONFLICT, "a request with this Idempotency-Key is under way", hint="try again")
    return Done(value, repeated=False)
