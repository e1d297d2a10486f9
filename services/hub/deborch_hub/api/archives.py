"""Archives: the APT repositories of targets, as data. Their files are served by `archive_files`."""

from aiohttp import web

from deborch_hub.api.archive_files import send_archive_file
from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.paging import id_after, name_after, names_after, one_page
from deborch_hub.store.reads.archives import ArchiveReads
from deborch_shared.contract.base import Page, PageQuery
from deborch_shared.contract.targets import Archive, PackageEntry, Snapshot
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.security import Permission


class ArchiveRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps
        self.reads = ArchiveReads(deps.database)

    def table(self) -> list[Route]:
        path, one, read = "/api/v1/archives", "/api/v1/archives/{target}", Permission.ARCHIVE_READ
        missing = (ErrorCode.NOT_FOUND,)
        return [
            Route("GET", path, self.browse, read, "List archives", query=PageQuery, response=Page[Archive]),
            Route("GET", one, self.show, read, "The archive of a target", response=Archive, errors=missing),
            Route(
                "GET",
                f"{one}/sources",
                self.sources,
                read,
                "The deb822 .sources file for /etc/apt/sources.list.d, with the key inside",
                content_type="text/plain",
                errors=missing,
            ),
            Route(
                "GET",
                f"{one}/snapshots",
                self.snapshots,
                read,
                "The archive as it was, newest first",
                query=PageQuery,
                response=Page[Snapshot],
                errors=missing,
            ),
            Route(
                "GET",
                f"{one}/packages",
                self.packages,
                read,
                "The binary packages that are published",
                query=PageQuery,
                response=Page[PackageEntry],
                errors=missing,
            ),
        ]

    async def browse(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await self.reads.list_archives(
            public_url=self.deps.public_url,
            key_fingerprint=self.deps.key_fingerprint,
            limit=query.limit + 1,
            after=name_after(query.cursor),
        )
        return one_page(found, query.limit, lambda archive: archive.target)

    async def show(self, call: Call) -> web.Response:
        return respond(await self._archive(call))

    async def sources(self, call: Call) -> web.StreamResponse:
        target = (await self._archive(call)).target
        return await send_archive_file(call.request, self.deps.archive_root, target, f"{target}.sources")

    async def snapshots(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await self.reads.list_snapshots(
            call.path("target"),
            public_url=self.deps.public_url,
            limit=query.limit + 1,
            before=id_after(query.cursor),
        )
        return one_page(found, query.limit, lambda snapshot: snapshot.generation)

    async def packages(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        after = names_after(query.cursor, 3)
        found = await self.reads.list_packages(
            call.path("target"), limit=query.limit + 1, after=(after[0], after[1], after[2]) if after else None
        )
        return one_page(found, query.limit, lambda entry: [entry.package, entry.version, entry.architecture])

    async def _archive(self, call: Call) -> Archive:
        return await self.reads.get_archive(
            call.path("target"), public_url=self.deps.public_url, key_fingerprint=self.deps.key_fingerprint
        )
