"""The files and the logs of a compose."""

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from deborch_cli.output import Identity, Size, Table, emit
from deborch_cli.output.printer import emit_line, emit_text
from deborch_cli.session import Session, fetch_list
from deborch_cli.transfer.download import download, safe_path
from deborch_cli.transfer.progress import transfer_bars
from deborch_cli.watching.streams import Patience
from deborch_shared.contract.composes import ComposeOutputFile
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http.sse import EventParser, read_events

_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class _Named:
    """An output under the last part of its path."""

    name: str
    sha256: str
    size_bytes: int


async def download_outputs(
    session: Session, compose: int, directory: Path | None, *, kinds: frozenset[str], overwrite: bool, as_json: bool
) -> None:
    """Bring a compose's files into `directory`, in directories of their own as they were; None: only list them.

    Raises:
        DeborchError: NOT_FOUND if there is nothing to fetch; UNSAFE_PATH, ALREADY_EXISTS or DIGEST_MISMATCH of one.
    """
    files = await fetch_list(session.hub, f"/api/v1/composes/{compose}/outputs", ComposeOutputFile, limit=_MOST_FILES)
    wanted = [file for file in files if not kinds or file.kind in kinds]
    if not wanted:
        kinds_there = ", ".join(sorted({file.kind for file in files}))
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"compose {compose} has nothing of that kind" if files else f"compose {compose} has made nothing (yet)",
            hint=f"it has {kinds_there}" if files else f"see `deborch compose show {compose}`",
        )
    if directory is not None:
        await _fetch(session, wanted, directory, overwrite=overwrite, as_json=as_json)
    rows = [(Identity(file.path), file.kind, Size(file.size_bytes)) for file in wanted]
    emit(wanted, lambda: Table(("file", "kind", "size"), rows, ""), as_json=as_json)


async def _fetch(
    session: Session, files: list[ComposeOutputFile], directory: Path, *, overwrite: bool, as_json: bool
) -> None:
    places = [_place(directory, file.path) for file in files]
    with transfer_bars("download", {file.path: file.size_bytes for file in files}, shown=not as_json) as moved:
        for file, place in zip(files, places, strict=True):
            await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
            named = _Named(place.name, file.sha256, file.size_bytes)
            path = file.path

            def moved_as(_: str, done_bytes: int, path: str = path) -> None:
                moved(path, done_bytes)

            await download(session.hub, named, place.parent, overwrite=overwrite, moved=moved_as)


def _place(directory: Path, path: str) -> Path:
    for part in PurePosixPath(path).parts:
        directory = safe_path(directory, part)
    return directory


async def print_phase_log(
    session: Session, compose: int, phase: str, *, attempt: int | None, follow: bool, as_json: bool
) -> None:
    """The log as it is, or as it grows."""
    path = f"/api/v1/composes/{compose}/logs/{phase}"
    asked = {"attempt": str(attempt)} if attempt is not None else {}
    if not follow:
        text = (await session.hub.call("GET", path, params=asked)).decode("utf-8", "replace")
        emit_line({"phase": phase, "text": text}) if as_json else emit_text(text)
        return
    patience, last_id = Patience(), ""
    while True:
        failure: DeborchError | None = None
        parser = EventParser(last_id)
        try:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            async with session.hub.open("GET", f"{path}/stream", params=asked, headers=headers) as response:
                async for event in read_events(response, parser):
                    patience.renew()
                    if event.event == "end":
                        return
                    _print_chunk(event.data, phase, as_json)
        except DeborchError as error:
            failure = error
        last_id = parser.last_id
        await patience.wait_after(failure)


def _print_chunk(data: str, phase: str, as_json: bool) -> None:
    text = str(orjson.loads(data).get("text", ""))
    if as_json:
        emit_line({"phase": phase, "text": text})
    else:
        emit_text(text)
