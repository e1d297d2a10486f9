"""What each archive holds, and how far it is published. Additions only: nothing is decided about files on disk here."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from deborch_hub.domain.packages import (
    ARCHITECTURE_ALL,
    BinaryFile,
    ListedBinary,
    ListedSource,
    PoolFile,
    check_source_control,
)
from deborch_hub.store.queries import SQL
from deborch_shared.db import Connection, Database
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import ArchiveId, BuildId, Sha256, TargetId
from deborch_shared.versions import sort_key


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """Where an archive stands. `published` is the name of the snapshot that readers get, None if there is none yet."""

    archive_id: ArchiveId
    target_id: TargetId
    architectures: tuple[str, ...]
    wanted_generation: int
    published_generation: int
    published: str | None
    base_known: bool
    """Whether the snapshot that was asked about is known here under that generation."""


@dataclass(frozen=True, slots=True)
class ArchiveStanding:
    """Whether the archive of `target` waits to be published, and the snapshot that is."""

    target: str
    behind: bool
    published: str | None


@dataclass(frozen=True, slots=True)
class ArchiveChanges:
    """All that is listed of each package that changed since some generation."""

    binaries: Sequence[ListedBinary]
    sources: Sequence[ListedSource]


class ArchiveContents:
    """The contents of the archives, in the caller's transactions."""

    async def add_build(
        self,
        connection: Connection,
        target_id: TargetId,
        *,
        build_id: BuildId | None,
        binaries: Sequence[BinaryFile],
        source_version_id: int | None,
    ) -> int:
        """Put what a build made into its target's archive; returns the generation that will list it.

        Call it in the transaction that sets the build to `publishing` with that generation. What is there already
        with the same content (an arch:all package built again) is accepted and left as it is. Every blob must be
        recorded. When it raises, it has changed nothing.

        Raises:
            DeborchError: VERSION_PRESENT (field `present`: what is there) if a version is there with other content;
                INVALID_INPUT for an architecture that the target has not or a .dsc that cannot be listed; NOT_FOUND
                for a target without an archive.
        """
        archive = await connection.fetchrow(SQL["archive_lock"], target_id)
        if archive is None:
            raise _no_archive(f"target {target_id}")
        files = list({(file.binary, file.sha256): file for file in binaries}.values())
        _check_architectures(files, {ARCHITECTURE_ALL, *archive["architectures"]}, archive["target"])
        _check_agreement(files)
        await self._check_present(connection, archive, files, source_version_id)
        generation = int(archive["wanted_generation"]) + 1
        await connection.execute(SQL["archive_record_binaries"], *_columns(files))
        await connection.execute(SQL["archive_add_binaries"], archive["id"], build_id, generation, *_identities(files))
        if source_version_id is not None:
            await connection.execute(SQL["archive_add_source"], archive["id"], build_id, generation, source_version_id)
        await connection.execute(SQL["archive_want_generation"], archive["id"], generation)
        return generation

    async def _check_present(
        self,
        connection: Connection,
        archive: asyncpg.Record,
        files: Sequence[BinaryFile],
        source_version_id: int | None,
    ) -> None:
        present = [
            f"{row['package']} {row['version']} ({row['architecture']}) with SHA-256 {row['sha256']}"
            for row in await connection.fetch(SQL["archive_binary_conflicts"], archive["id"], *_identities(files))
        ]
        if source_version_id is not None:
            check_source_control(await connection.fetchval(SQL["archive_source_control"], source_version_id))
            row = await connection.fetchrow(SQL["archive_source_conflict"], archive["id"], source_version_id)
            if row is not None:
                present.append(f"{row['package']} {row['version']} (source) with SHA-256 {row['sha256']} of its .dsc")
        if present:
            raise _version_present(f"the archive of {archive['target']} holds other content", present)

    async def standing(self, connection: Connection) -> list[ArchiveStanding]:
        """How far each archive is published."""
        return [ArchiveStanding(**row) for row in await connection.fetch(SQL["archives_standing"])]

    async def head(self, connection: Connection, target: str, *, base_generation: int, base: str) -> ArchiveHead:
        """Where the archive of `target` stands; NOT_FOUND if it has none."""
        row = await connection.fetchrow(SQL["archive_head"], target, base_generation, base)
        if row is None:
            raise _no_archive(target)
        return ArchiveHead(
            ArchiveId(row["id"]),
            TargetId(row["target_id"]),
            tuple(row["architectures"]),
            row["wanted_generation"],
            row["published_generation"],
            row["published"],
            row["base_known"],
        )

    async def changes(
        self, connection: Connection, archive_id: ArchiveId, *, since_generation: int, versions: int
    ) -> ArchiveChanges:
        """What is listed of all that changed after `since_generation` (0: everything), `versions` of each."""
        binaries = await connection.fetch(SQL["archive_binaries_changed"], archive_id, versions, since_generation)
        sources = await connection.fetch(SQL["archive_sources_changed"], archive_id, versions, since_generation)
        return ArchiveChanges([_listed_binary(row) for row in binaries], [_listed_source(row) for row in sources])

    async def snapshot_names(self, connection: Connection, archive_id: ArchiveId) -> set[str]:
        """Every snapshot that the archive promises to keep readable."""
        return {row["name"] for row in await connection.fetch(SQL["archive_snapshot_names"], archive_id)}

    async def complete(
        self, connection: Connection, head: ArchiveHead, *, snapshot: str, packages: int
    ) -> list[BuildId]:
        """Record that `head.wanted_generation` is what readers get; returns the builds that this completes.

        Raises:
            DeborchError: CONFLICT if someone has published this or a later generation meanwhile; roll back.
        """
        generation = head.wanted_generation
        builds = await connection.fetch(SQL["archive_complete_builds"], head.target_id, generation)
        if await connection.fetchval(SQL["archive_advance"], head.archive_id, generation) is None:
            raise DeborchError(
                ErrorCode.CONFLICT,
                f"generation {generation} of archive {head.archive_id} was published by someone else",
                hint="see that one hub at a time publishes into the directory of the archives",
            )
        await connection.execute(SQL["archive_record_snapshot"], head.archive_id, generation, snapshot, packages)
        return sorted(BuildId(row["id"]) for row in builds)

    async def forget_snapshots(self, connection: Connection, archive_id: ArchiveId, *, keep: int) -> list[str]:
        """Drop all but the `keep` newest snapshots; returns the names that may be deleted from disk."""
        return [row["name"] for row in await connection.fetch(SQL["archive_forget_snapshots"], archive_id, keep)]


@asynccontextmanager
async def one_moment(database: Database) -> AsyncIterator[Connection]:
    """A connection whose queries all see the database as it is at one moment, and cannot write."""
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


def _identities(files: Sequence[BinaryFile]) -> tuple[list[str], list[str], list[str], list[bytes]]:
    return (
        [file.binary.package for file in files],
        [file.binary.version for file in files],
        [file.binary.architecture for file in files],
        [bytes.fromhex(file.sha256) for file in files],
    )


def _columns(files: Sequence[BinaryFile]) -> tuple[Sequence[object], ...]:
    packages, versions, architectures, digests = _identities(files)
    return (
        packages,
        versions,
        [sort_key(version) for version in versions],
        architectures,
        [file.binary.source for file in files],
        [file.binary.udeb for file in files],
        [file.binary.control for file in files],
        [file.file_name for file in files],
        digests,
        [file.size_bytes for file in files],
    )


def _check_architectures(files: Sequence[BinaryFile], allowed: set[str], target: str) -> None:
    for file in files:
        if file.binary.architecture not in allowed:
            raise DeborchError(
                ErrorCode.INVALID_INPUT,
                f"{file.file_name} is for {file.binary.architecture}, which {target} does not have",
                hint=f"{target} takes packages for {', '.join(sorted(allowed))}",
            )


def _check_agreement(files: Sequence[BinaryFile]) -> None:
    """One build must not bring one version in two forms."""
    seen: dict[tuple[str, str, str], BinaryFile] = {}
    for file in files:
        key = (file.binary.package, file.binary.version, file.binary.architecture)
        other = seen.setdefault(key, file)
        if other.sha256 != file.sha256:
            raise _version_present(
                "the build made one package twice", [f"{f.file_name} {f.sha256}" for f in (other, file)]
            )


def _version_present(what: str, present: Sequence[str]) -> DeborchError:
    return DeborchError(
        ErrorCode.VERSION_PRESENT,
        f"{what}: {'; '.join(present)}",
        hint="a published version never changes: raise the version in debian/changelog and build again",
        present=list(present),
    )


def _no_archive(target: str) -> DeborchError:
    return DeborchError(
        ErrorCode.NOT_FOUND, f"{target} has no archive", hint="deborch target list shows the targets that there are"
    )


def _listed_binary(row: asyncpg.Record) -> ListedBinary:
    return ListedBinary(
        row["package"],
        row["version"],
        row["version_key"],
        row["architecture"],
        row["udeb"],
        row["control"],
        PoolFile(row["file_name"], Sha256(row["sha256"]), row["size_bytes"]),
    )


def _listed_source(row: asyncpg.Record) -> ListedSource:
    dsc = PoolFile(row["dsc_name"], Sha256(row["dsc_sha256"]), row["dsc_size_bytes"])
    named = [
        PoolFile(name, Sha256(digest), size)
        for name, digest, size in zip(row["names"], row["digests"], row["sizes"], strict=True)
        if name != dsc.name
    ]
    return ListedSource(row["package"], row["version"], row["version_key"], row["control"], dsc.sha256, (dsc, *named))
