"""What users of images get: refs and tags moved to what a compose made, and back. Each act is checked and recorded."""

from dataclasses import dataclass

import asyncpg

from deborch_hub.handlers.composes import locked_compose
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_shared.contract.composes import PromoteRef, PromoteTag, RollbackRef, RollbackTag
from deborch_shared.contract.states import ComposeState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.composes import ImageTagged, RefPromoted
from deborch_shared.events.model import AuditRecorded
from deborch_shared.security import Principal


@dataclass(frozen=True, slots=True)
class Act:
    """One move of a ref or tag."""

    kind: str
    name: str
    value: str
    previous: str | None
    compose_id: int | None
    version: str
    rolled_back: bool = False


async def promote_ref(context: Context, ref: str, command: PromoteRef, by: Principal) -> None:
    """Move `ref` to the commit that the compose made for it. See `ComposeCommands`.

    Raises:
        DeborchError: NOT_FOUND; CONFLICT if the ref is not where the caller thinks, or the commit is not whole here;
            ILLEGAL_TRANSITION for a compose that has not finished.
    """
    async with context.transactions.begin() as work:
        await _require_finished(work, command.compose_id)
        made = await work.connection.fetchrow(SQL["commit_for_ref"], command.compose_id, ref)
        if made is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND,
                f"compose {command.compose_id} made no commit for {ref}",
                hint=f"`deborch compose show {command.compose_id}` lists its commits",
            )
        await _require_whole(context, made["commit"])
        previous = await _require_at(work, "ref", ref, command.expected)
        act = Act("ref", ref, made["commit"], previous, command.compose_id, made["version"])
        await _publish_ref(work, act, by)


async def rollback_ref(context: Context, ref: str, command: RollbackRef, by: Principal) -> None:
    """Move `ref` back to a commit that it had before."""
    async with context.transactions.begin() as work:
        previous = await _require_at(work, "ref", ref, command.expected)
        earlier = await _earlier(work, "ref", ref, command.to, command.expected)
        await _require_whole(context, earlier["value"])
        act = Act("ref", ref, earlier["value"], previous, earlier["compose_id"], earlier["version"], rolled_back=True)
        await _publish_ref(work, act, by)


async def _publish_ref(work: Work, act: Act, by: Principal) -> None:
    await _publish(work, act, by)
    work.tell(
        RefPromoted(
            ref=act.name,
            commit=act.value,
            previous=act.previous,
            compose_id=act.compose_id,
            by=by.subject,
            rolled_back=act.rolled_back,
        )
    )


async def promote_tag(context: Context, command: PromoteTag, by: Principal) -> None:
    """Point a tag to the image that the compose pushed."""
    async with context.transactions.begin() as work:
        await _require_finished(work, command.compose_id)
        digest = await work.connection.fetchval(SQL["image_of_compose"], command.compose_id, command.image)
        if digest is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND,
                f"compose {command.compose_id} pushed no image {command.image}",
                hint=f"`deborch compose show {command.compose_id}` lists its images",
            )
        name = f"{command.image}:{command.tag}"
        previous = await _require_at(work, "tag", name, command.expected)
        act = Act("tag", name, digest, previous, command.compose_id, "")
        await _publish_tag(context, work, act, command.image, command.tag, by)


async def rollback_tag(context: Context, command: RollbackTag, by: Principal) -> None:
    """Point a tag back to an image that it had before."""
    async with context.transactions.begin() as work:
        name = f"{command.image}:{command.tag}"
        previous = await _require_at(work, "tag", name, command.expected)
        earlier = await _earlier(work, "tag", name, command.to, command.expected)
        act = Act("tag", name, earlier["value"], previous, earlier["compose_id"], "", rolled_back=True)
        await _publish_tag(context, work, act, command.image, command.tag, by)


async def _publish_tag(context: Context, work: Work, act: Act, image: str, tag: str, by: Principal) -> None:
    """The registry first: if the hub dies before it has noted that, the same act can be sent again."""
    there = await context.registry.digest_of(image, tag)
    if there not in {act.previous, act.value}:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"{image}:{tag} is at {there or 'nothing'} in the registry, not at {act.previous or 'nothing'}",
            hint="somebody moved it past the hub: move it back there, or choose another tag",
            current=there,
        )
    await context.registry.tag(image, tag, act.value)
    await _publish(work, act, by)
    work.tell(
        ImageTagged(
            image=image,
            tag=tag,
            digest=act.value,
            previous=act.previous,
            compose_id=act.compose_id,
            by=by.subject,
            rolled_back=act.rolled_back,
        )
    )


async def _publish(work: Work, act: Act, by: Principal) -> None:
    await work.connection.execute(
        SQL["publish"],
        act.kind,
        act.name,
        act.value,
        act.previous,
        act.compose_id,
        act.version,
        by.subject,
        act.rolled_back,
    )
    verb = "rollback" if act.rolled_back else "promote"
    work.tell(AuditRecorded(actor=by.subject, action=f"{act.kind}.{verb}", object=f"{act.name} {act.value}"))


async def _require_finished(work: Work, compose_id: int) -> None:
    compose = await locked_compose(work, compose_id)
    if not ComposeState(compose["state"]).is_finished:
        raise DeborchError(
            ErrorCode.ILLEGAL_TRANSITION,
            f"compose {compose_id} is {compose['state']}: there is nothing to promote",
            hint=f"`deborch compose watch {compose_id}` until it is finished",
        )


async def _require_whole(context: Context, commit: str) -> None:
    missing = await context.ostree.first_missing(commit)
    if missing is not None:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"the remote does not have all of commit {commit}: {missing} is missing",
            hint="compose it again: composers upload what is missing",
        )


async def _require_at(work: Work, kind: str, name: str, expected: str | None) -> str | None:
    """Where ref or tag is now, which nobody else moves in this transaction's time."""
    await work.connection.execute(SQL["lock_published"], f"{kind} {name}")
    current = await work.connection.fetchval(SQL["published_value"], kind, name)
    if current != expected:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"{name} is at {current or 'nothing'}, not at {expected or 'nothing'}: it moved meanwhile",
            hint="look at what it is now (`deborch compose refs`), and promote again if that is still right",
            current=current,
        )
    return None if current is None else str(current)


async def _earlier(work: Work, kind: str, name: str, to: str | None, current: str) -> asyncpg.Record:
    earlier = await work.connection.fetchrow(SQL["earlier_promotion"], kind, name, to, current)
    if earlier is None or earlier["value"] == current:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"{name} was never at {to}" if to and to != current else f"{name} has nowhere to go back to",
            hint="`deborch compose promotions` lists where it has been",
        )
    return earlier
