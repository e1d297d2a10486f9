"""The files of the archives, for APT: public, by range, with validators."""

import re
from pathlib import Path

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.files import IMMUTABLE, RANGE_HEADERS, REVALIDATE, send_file
from deborch_hub.store.disk import in_thread
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call, Route
from deborch_shared.security import PUBLIC

_TARGET = re.compile(r"[a-z0-9][a-z0-9+._-]{0,62}")
_TYPES = {
    ".deb": "application/vnd.debian.binary-package",
    ".udeb": "application/vnd.debian.binary-package",
    ".ddeb": "application/vnd.debian.binary-package",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
    ".bz2": "application/x-bzip2",
    ".gpg": "application/pgp-signature",
    ".asc": "text/plain; charset=utf-8",
    ".dsc": "text/plain; charset=utf-8",
    ".sources": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
"""By suffix; what has none is an index or Release file."""


class ArchiveFileRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/archives/{target}/{path:path}",
                self.download,
                PUBLIC,
                "A file of an archive, as APT reads it: dists/, pool/, snapshots/<name>/, <target>.sources",
                content_type="application/octet-stream",
                request_headers={"If-Modified-Since": "The date of the copy that is known", **RANGE_HEADERS},
                errors=(ErrorCode.NOT_FOUND, ErrorCode.UNSAFE_PATH, ErrorCode.RANGE_NOT_SATISFIABLE),
                answers_head=True,
            ),
        ]

    async def download(self, call: Call) -> web.StreamResponse:
        return await send_archive_file(call.request, self.deps.archive_root, call.path("target"), call.path("path"))


async def send_archive_file(request: web.Request, root: Path, target: str, path: str) -> web.StreamResponse:
    """One file of the archive of `target` as a response."""
    file = await in_thread(locate, root, target, path)
    name = path.rpartition("/")[2]
    suffix = "" if "/by-hash/" in path else Path(name).suffix
    return await send_file(
        request,
        file,
        content_type=_TYPES.get(suffix, "application/octet-stream"),
        cache_control=IMMUTABLE if _never_changes(path) else REVALIDATE,
    )


def locate(root: Path, target: str, path: str) -> Path:
    """Where the file at the public `path` of an archive is on disk.

    `current` is the generation that is published now. Symbolic links may lead out of the archive's own directory (into
    the blob store), never out of the hub's data directory, the parent of `root`.

    Raises:
        DeborchError: UNSAFE_PATH for a path that climbs; NOT_FOUND for one that no archive has.
    """
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise DeborchError(ErrorCode.UNSAFE_PATH, "the path holds an empty part, `.` or `..`")
    if _TARGET.fullmatch(target) is None or not _is_public(target, parts):
        raise _no_file()
    below = ["current", *parts] if parts[0] == "dists" else parts
    found = (root / target).joinpath(*below).resolve()
    if not found.is_relative_to(root.parent.resolve()):
        raise _no_file()
    return found


def _is_public(target: str, parts: list[str]) -> bool:
    match parts:
        case [name]:
            return name == f"{target}.sources"
        case ["dists" | "pool", *_] | ["snapshots", _, "dists" | "pool", *_]:
            return True
        case _:
            return False


def _never_changes(path: str) -> bool:
    return path.startswith(("pool/", "snapshots/")) or "/by-hash/" in path


def _no_file() -> DeborchError:
    return DeborchError(
        ErrorCode.NOT_FOUND,
        "the archive has no such file",
        hint="`deborch archive show` says where it is; an archive is there once it has been published",
    )
