"""The objects of commits to the hub's OSTree remote: only what it lacks, in archives of a bearable size."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from deborch_composer.engine_port import ObjectSource
from deborch_composer.hub import Hub
from deborch_shared.clock import Clock
from deborch_shared.worker.backoff import persist

_NAMES_AT_ONCE = 20_000
_OBJECTS_AT_ONCE = 1_000
_BYTES_AT_ONCE = 32 << 20
_ALWAYS = ".commitmeta"
"""Signatures: those of an object that the hub has may be others now."""


async def upload_objects(source: ObjectSource, hub: Hub, clock: Clock, tell: Callable[[float, float], None]) -> int:
    """Send what the hub lacks, however often the way to it breaks; how many objects that were.

    `tell`: hears how many objects are seen to, of how many.

    Raises:
        DeborchError: what the hub says for good.
    """
    names, sent = list(source.names), 0
    for begin in range(0, len(names), _NAMES_AT_ONCE):
        asked = names[begin : begin + _NAMES_AT_ONCE]
        ask = partial(hub.missing_objects, [name for name in asked if not name.endswith(_ALWAYS)])
        wanted = set(await persist(ask, clock=clock, what="asking for objects", patient=True))
        for part in await _parts(source, [name for name in asked if name in wanted or name.endswith(_ALWAYS)]):
            send = partial(_send, hub, part)
            await persist(send, clock=clock, what="sending objects", patient=True)
            sent += len(part)
            tell(begin + sent, len(names))
    return sent


async def _send(hub: Hub, part: Sequence[tuple[str, Path]]) -> None:
    await hub.send_objects(_archive(part))


async def _parts(source: ObjectSource, names: Sequence[str]) -> list[list[tuple[str, Path]]]:
    parts: list[list[tuple[str, Path]]] = [[]]
    size = 0
    for name in names:
        path = await source.path_of(name)
        size += (await asyncio.to_thread(path.stat)).st_size
        if parts[-1] and (size > _BYTES_AT_ONCE or len(parts[-1]) >= _OBJECTS_AT_ONCE):
            parts.append([])
            size = 0
        parts[-1].append((name, path))
    return [part for part in parts if part]


async def _archive(part: Sequence[tuple[str, Path]]) -> AsyncIterator[bytes]:
    """An uncompressed tar, one member after the other."""
    for name, path in part:
        yield await asyncio.to_thread(_member, name, path)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, path: Path) -> bytes:
    content = path.read_bytes()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    member = io.BytesIO()
    member.write(info.tobuf(tarfile.USTAR_FORMAT))
    member.write(content)
    member.write(bytes(-len(content) % tarfile.BLOCKSIZE))
    return member.getvalue()
