"""What users of images get: refs and tags, moved by acts of their own."""

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.paging import id_after, name_after, one_page
from deborch_hub.store.reads.composes import list_promotions, list_refs, list_tags
from deborch_shared.contract.base import Page, PageQuery
from deborch_shared.contract.composes import (
    ImageTag,
    PromoteRef,
    PromoteTag,
    Promotion,
    PromotionQuery,
    Ref,
    RefName,
    RollbackRef,
    RollbackTag,
)
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import Call, Route, respond
from deborch_shared.security import Permission

_REF: TypeAdapter[str] = TypeAdapter(RefName)


class PromotionRoutes:
    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps

    def table(self) -> list[Route]:
        refs, tags, read = "/api/v1/refs", "/api/v1/image-tags", Permission.COMPOSE_READ
        promote, rollback = Permission.COMPOSE_PROMOTE, Permission.COMPOSE_ROLLBACK
        moved = (ErrorCode.NOT_FOUND, ErrorCode.CONFLICT)
        finished = (*moved, ErrorCode.ILLEGAL_TRANSITION)
        return [
            Route("GET", refs, self.refs, read, "List refs of the OSTree remote", query=PageQuery, response=Page[Ref]),
            Route(
                "POST", f"{refs}/{{ref:path}}/promote", self.promote_ref, promote,
                "Move a ref to the commit that a compose made for it", body=PromoteRef, response=Ref, errors=finished,
            ),
            Route(
                "POST", f"{refs}/{{ref:path}}/rollback", self.rollback_ref, rollback,
                "Move a ref back to a commit that it had before", body=RollbackRef, response=Ref, errors=moved,
            ),
            Route("GET", f"{refs}/{{ref:path}}", self.ref, read, "One ref", response=Ref, errors=moved[:1]),
            Route(
                "GET", tags, self.tags, read, "List tags of images that the hub has moved",
                query=PageQuery, response=Page[ImageTag],
            ),
            Route(
                "POST", f"{tags}/promote", self.promote_tag, promote, "Point a tag to the image that a compose pushed",
                body=PromoteTag, response=ImageTag, errors=(*finished, ErrorCode.SERVICE_UNAVAILABLE),
            ),
            Route(
                "POST", f"{tags}/rollback", self.rollback_tag, rollback, "Point a tag back to an earlier image",
                body=RollbackTag, response=ImageTag, errors=(*moved, ErrorCode.SERVICE_UNAVAILABLE),
            ),
            Route(
                "GET", "/api/v1/promotions", self.promotions, read, "List promotions and rollbacks, newest first",
                query=PromotionQuery, response=Page[Promotion],
            ),
        ]  # fmt: skip

    async def refs(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await list_refs(
            self.deps.database,
            public_url=self.deps.public_url,
            limit=query.limit + 1,
            after=name_after(query.cursor),
        )
        return one_page(found, query.limit, lambda ref: ref.ref)

    async def ref(self, call: Call) -> web.Response:
        return await self._answer_ref(_ref_in(call))

    async def promote_ref(self, call: Call) -> web.Response:
        ref = _ref_in(call)
        await self.deps.composes.promote_ref(ref, call.body_as(PromoteRef), call.principal)
        return await self._answer_ref(ref)

    async def rollback_ref(self, call: Call) -> web.Response:
        ref = _ref_in(call)
        await self.deps.composes.rollback_ref(ref, call.body_as(RollbackRef), call.principal)
        return await self._answer_ref(ref)

    async def tags(self, call: Call) -> web.Response:
        query = call.query_as(PageQuery)
        found = await list_tags(self.deps.database, limit=query.limit + 1, after=name_after(query.cursor))
        return one_page(found, query.limit, lambda tag: f"{tag.image}:{tag.tag}")

    async def promote_tag(self, call: Call) -> web.Response:
        command = call.body_as(PromoteTag)
        await self.deps.composes.promote_tag(command, call.principal)
        return await self._answer_tag(f"{command.image}:{command.tag}")

    async def rollback_tag(self, call: Call) -> web.Response:
        command = call.body_as(RollbackTag)
        await self.deps.composes.rollback_tag(command, call.principal)
        return await self._answer_tag(f"{command.image}:{command.tag}")

    async def promotions(self, call: Call) -> web.Response:
        query = call.query_as(PromotionQuery)
        found = await list_promotions(self.deps.database, query, limit=query.limit + 1, before=id_after(query.cursor))
        return one_page(found, query.limit, lambda promotion: promotion.id)

    async def _answer_ref(self, name: str) -> web.Response:
        found = await list_refs(self.deps.database, public_url=self.deps.public_url, limit=1, after=None, ref=name)
        if not found:
            raise DeborchError(ErrorCode.NOT_FOUND, f"there is no ref {name}", hint="`deborch compose refs` lists them")
        return respond(found[0])

    async def _answer_tag(self, name: str) -> web.Response:
        (found,) = await list_tags(self.deps.database, limit=1, after=None, name=name)
        return respond(found)


def _ref_in(call: Call) -> str:
    try:
        return _REF.validate_python(call.path("ref"))
    except ValidationError:
        raise DeborchError(
            ErrorCode.NOT_FOUND, "that is no name of a ref", hint="such as debian/trixie/amd64"
        ) from None
