"""Reading an uploaded source package: the .dsc, and that the files it names are the files that are there."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from deborch_hub.handlers.context import Context
from deborch_hub.store.queries import SQL
from deborch_shared.contract.builds import UploadedFile
from deborch_shared.db import Connection
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import Sha256
from deborch_shared.source_signatures import check_source_signature
from deborch_shared.sources import MAX_DSC_BYTES, SourceDescription, check_file_name, parse_dsc
from deborch_shared.versions import sort_key

_TRIES = 5


@dataclass(frozen=True, slots=True)
class UploadedSource:
    """A source package all of whose files are in the blob store."""

    control: SourceDescription
    text: str
    dsc: UploadedFile
    files: tuple[UploadedFile, ...]


async def read_source(context: Context, dsc: UploadedFile, files: Sequence[UploadedFile]) -> UploadedSource:
    """Check an upload as a whole.

    Raises:
        DeborchError: INVALID_SOURCE for a .dsc that cannot be used or does not fit the files, UNSAFE_PATH for a name
            that leaves its directory, NOT_FOUND for a blob that was not uploaded.
    """
    check_file_name(dsc.name, "the request")
    await require_blobs(context, [dsc, *files])
    if dsc.size_bytes > MAX_DSC_BYTES:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE,
            f"{dsc.name} is larger than {MAX_DSC_BYTES} bytes: not a .dsc",
            hint="give the .dsc as such, and the files that it lists beside it",
        )
    raw = context.blobs.path_of(Sha256(dsc.sha256)).read_bytes()
    control = parse_dsc(raw, file_name=dsc.name)
    if dsc.name != control.dsc_name:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE,
            f"{dsc.name} holds {control.name} {control.version}, which belongs in {control.dsc_name}",
            hint=f"name it {control.dsc_name}, as dpkg-source does",
        )
    given = {file.name: file for file in files}
    for needed in control.files:
        file = given.pop(needed.name, None)
        if file is None:
            raise DeborchError(
                ErrorCode.INVALID_SOURCE,
                f"{dsc.name} names {needed.name}, which was not uploaded",
                hint="upload every file that the .dsc lists",
            )
        if (file.sha256, file.size_bytes) != (needed.sha256, needed.size_bytes):
            raise DeborchError(
                ErrorCode.INVALID_SOURCE,
                f"{needed.name} is not the file that {dsc.name} names: its size or SHA-256 differs",
                hint="download the source package again and compare with `dscverify` or `sha256sum`",
            )
    if given:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE,
            f"{dsc.name} does not name {', '.join(sorted(given))}",
            hint="give the files that the .dsc lists, and no others",
        )
    return UploadedSource(control, raw.decode("utf-8", "replace"), dsc, tuple(files))


async def require_blobs(context: Context, files: Sequence[UploadedFile]) -> None:
    """Refuse files whose content is not in the blob store, or has another size."""
    digests = [bytes.fromhex(file.sha256) for file in files]
    rows = await context.database.fetch(SQL["known_blobs"], digests)
    known = {row["sha256"].hex(): row["size_bytes"] for row in rows}
    for file in files:
        if known.get(file.sha256) != file.size_bytes:
            raise DeborchError(
                ErrorCode.NOT_FOUND,
                f"the content of {file.name} ({file.sha256[:16]}…, {file.size_bytes} bytes) is not in the blob store",
                hint=f"PUT it to /api/v1/blobs/{file.sha256} first",
            )


async def require_signature(context: Context, source: UploadedSource) -> None:
    """Refuse a .dsc that no key of the source keyring has signed."""
    if context.source_keyring is None:
        raise DeborchError(
            ErrorCode.INVALID_SIGNATURE,
            "this target takes signed sources only, and the hub has no keyring to check them with",
            hint="set DEBORCH_HUB_SOURCE_KEYRING to a keyring file",
        )
    raw = context.blobs.path_of(Sha256(source.dsc.sha256)).read_bytes()
    await check_source_signature(raw, context.source_keyring, file_name=source.dsc.name)


async def store_source(connection: Connection, source: UploadedSource) -> int:
    """The id of the source version, made if it is new."""
    control = source.control
    package = await _made_or_found(connection, SQL["source_package_id"], control.name)
    row = await _made_or_found(
        connection,
        SQL["source_version_id"],
        package["id"],
        control.version,
        sort_key(control.version),
        bytes.fromhex(source.dsc.sha256),
        source.dsc.name,
        source.text,
        list(control.architectures),
    )
    if row["made"]:
        rows = [(row["id"], file.name, bytes.fromhex(file.sha256), file.size_bytes) for file in source.files]
        await connection.executemany(SQL["insert_source_file"], rows)
    return int(row["id"])


async def _made_or_found(connection: Connection, query: str, *values: object) -> asyncpg.Record:
    """The row that `query` makes or finds. One that another transaction has just committed, which therefore was
    neither made nor seen by the statement, is seen by the next."""
    for _ in range(_TRIES):
        row = await connection.fetchrow(query, *values)
        if row is not None:
            return row
    raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "the source is being stored by another request", hint="try again")
