"""`Idempotency-Key`: a POST that is sent again with the same key gives the result of the first one."""

import hashlib
import re

from deborch_hub.handlers.port import Idempotency
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call

HEADER = "Idempotency-Key"
REQUEST_HEADERS = {HEADER: "Any text of 1 to 200 characters: the same request with the same key is done once"}
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


def idempotency_of(call: Call) -> Idempotency | None:
    """The caller's key and what identifies the request: method, path and the body's meaning, not its spelling.

    Raises:
        DeborchError: INVALID_INPUT if the key is empty, too long, or holds spaces.
    """
    key = call.request.headers.get(HEADER)
    if key is None:
        return None
    if _KEY.fullmatch(key) is None:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "the Idempotency-Key is not 1 to 200 printable ASCII characters without spaces",
            hint="use a new UUID for each thing that you want done once",
        )
    body = call.body.model_dump_json() if call.body is not None else ""
    request = f"{call.request.method} {call.request.path}\n{body}"
    return Idempotency(key, hashlib.sha256(request.encode()).digest())
