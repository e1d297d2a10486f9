"""Pages of lists: an opaque cursor is the key of the last item, so that a page is found by index, however far on."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import page

ItemT = TypeVar("ItemT", bound=BaseModel)
_MAX_ID = 2**63 - 1


def one_page(items: Sequence[ItemT], limit: int, key: Callable[[ItemT], int | str | Sequence[str]]) -> web.Response:
    """The first `limit` of `items`, which holds one more if there is a next page."""
    shown = items[:limit]
    return page(shown, next_cursor=_encode(key(shown[-1])) if len(items) > limit else None)


def id_after(cursor: str | None) -> int | None:
    """The id that a cursor stands for.

    Raises:
        DeborchError: INVALID_INPUT if it is not a cursor of this list.
    """
    key = _decode(cursor)
    if key is None or (isinstance(key, int) and not isinstance(key, bool) and 0 <= key <= _MAX_ID):
        return key
    raise _bad_cursor()


def name_after(cursor: str | None) -> str | None:
    """The name that a cursor stands for; refuses others as `id_after` does."""
    key = _decode(cursor)
    if key is None or (isinstance(key, str) and "\0" not in key):
        return key
    raise _bad_cursor()


def names_after(cursor: str | None, count: int) -> tuple[str, ...] | None:
    """The `count` names that a cursor stands for; refuses others as `id_after` does."""
    key = _decode(cursor)
    if key is None:
        return None
    if isinstance(key, list) and len(key) == count and all(isinstance(part, str) and "\0" not in part for part in key):
        return tuple(key)
    raise _bad_cursor()


def _encode(key: int | str | Sequence[str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).rstrip(b"=").decode()


def _decode(cursor: str | None) -> object:
    if cursor is None:
        return None
    try:
        key = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise _bad_cursor() from None
    if key is None:
        raise _bad_cursor()
    return key


def _bad_cursor() -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        "the cursor is not one of this list",
        hint="send `next` of the page before as `cursor`, unchanged, or leave it out to begin at the start",
    )
