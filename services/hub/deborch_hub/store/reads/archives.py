"""Archives, their snapshots and packages, as published."""

from collections import OrderedDict

import asyncpg

from deborch_hub.store.queries import SQL
from deborch_hub.store.reads.targets import archive_url
from deborch_shared.contract.targets import Archive, PackageEntry, Snapshot
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError, ErrorCode

PackageKey = tuple[str, str, str]
"""Package, version, architecture: what a list of packages is sorted by."""
_REMEMBERED_TOTALS = 1_000


class ArchiveReads:
    """Reads archives. What a published generation holds never changes, so that its totals are counted once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._totals: OrderedDict[tuple[int, int], dict[str, int]] = OrderedDict()

    async def list_archives(
        self, *, public_url: str, key_fingerprint: str, limit: int, after: str | None
    ) -> list[Archive]:
        """Archives by the name of their target."""
        rows = await self._database.fetch(SQL["read_archives"], after, limit, None)
        return [await self._archive(row, public_url, key_fingerprint) for row in rows]

    async def get_archive(self, target: str, *, public_url: str, key_fingerprint: str) -> Archive:
        """The archive of one target.

        Raises:
            DeborchError: NOT_FOUND.
        """
        return await self._archive(await self._row(target), public_url, key_fingerprint)

    async def list_snapshots(self, target: str, *, public_url: str, limit: int, before: int | None) -> list[Snapshot]:
        """Snapshots of a target's archive below generation `before`, newest first."""
        archive = await self._row(target)
        rows = await self._database.fetch(SQL["read_snapshots"], archive["id"], limit, before)
        base = archive_url(public_url, target)
        return [Snapshot.model_validate({**row, "url": f"{base}/snapshots/{row['name']}"}) for row in rows]

    async def list_packages(self, target: str, *, limit: int, after: PackageKey | None) -> list[PackageEntry]:
        """Published binary packages by package, version and architecture."""
        archive = await self._row(target)
        rows = await self._database.fetch(SQL["read_packages"], archive["id"], limit, *(after or ("", "", "")))
        return [PackageEntry.model_validate({**row, "sha256": row["sha256"].hex()}) for row in rows]

    async def _row(self, target: str) -> asyncpg.Record:
        row = await self._database.fetchrow(SQL["read_archives"], None, 1, target)
        if row is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND,
                f"there is no archive of a target {target}",
                hint="`deborch target list` shows them",
            )
        return row

    async def _archive(self, row: asyncpg.Record, public_url: str, key_fingerprint: str) -> Archive:
        url = archive_url(public_url, row["target"])
        return Archive(
            target=row["target"],
            suite=row["suite"],
            url=url,
            sources_url=f"{url}/{row['target']}.sources",
            key_fingerprint=key_fingerprint,
            generation=row["published_generation"],
            published_at=row["published_at"],
            architectures=tuple(row["architectures"]),
            **await self._totals_of(row["id"], row["published_generation"]),
        )

    async def _totals_of(self, archive_id: int, generation: int) -> dict[str, int]:
        key = (archive_id, generation)
        if key not in self._totals:
            row = await self._database.fetchrow(SQL["read_archive_totals"], archive_id, generation)
            self._totals[key] = dict(row) if row is not None else {}
            if len(self._totals) > _REMEMBERED_TOTALS:
                self._totals.popitem(last=False)
        return self._totals[key]
