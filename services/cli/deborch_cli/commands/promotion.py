"""Promotion and rollback: which commit a ref and which image a tag gives to users."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

import typer

from deborch_cli.arguments import input_checked
from deborch_cli.options import Json, Limit
from deborch_cli.output import Age, Identity, Table, emit
from deborch_cli.session import Session, fetch_list, with_session
from deborch_shared.contract.base import Output
from deborch_shared.contract.composes import (
    Compose,
    ImageTag,
    PromoteRef,
    PromoteTag,
    Promotion,
    Ref,
    RollbackRef,
    RollbackTag,
)
from deborch_shared.errors import DeborchError, ErrorCode


class Moved(Output):
    """Where a ref or tag is now, as `promote --json` and `rollback --json` print it."""

    name: str
    before: str | None
    now: str


def add_promotion_commands(app: typer.Typer) -> None:
    """`promote`, `rollback`, `refs` and `promotions`."""
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("refs")(list_refs)
    app.command("promotions")(list_promotions)


def promote(
    compose: Annotated[int, typer.Argument(metavar="COMPOSE", min=1, help="A finished one.", show_default=False)],
    refs: Annotated[list[str] | None, typer.Option("--ref", metavar="REF", help="Only this ref.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="IMAGE:TAG", help="Only this tag, or another than wished for.")
    ] = None,
    expected: Annotated[
        str | None,
        typer.Option("--expect", metavar="COMMIT", help="Only if the one ref or tag is there now; `none`: is new."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a compose to users: move its refs, then the tags of its images that the treefile wishes for."""

    async def run(session: Session) -> list[Moved]:
        made = await session.hub.get(f"/api/v1/composes/{compose}", Compose)
        names = _names_of(made, refs or (), tags or ())
        if expected is not None and len(names) != 1:
            raise DeborchError(
                ErrorCode.INVALID_INPUT, f"--expect is for one ref or tag, not {len(names)}", hint="choose with --ref"
            )
        now = {name: await _value(session, name) for name in names}
        if expected is not None:
            now = dict.fromkeys(names, None if expected == "none" else expected)
        return [await _promote(session, compose, name, before) for name, before in now.items()]

    moved = with_session(run)
    emit(moved, lambda: _moves(moved), as_json=as_json)


def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A ref, or IMAGE:TAG.", show_default=False)],
    to: Annotated[
        str | None, typer.Option("--to", metavar="COMMIT", help="One that it had before; default: the last but one.")
    ] = None,
    expected: Annotated[str | None, typer.Option("--expect", metavar="COMMIT", help="Only if it is there now.")] = None,
    as_json: Json = False,
) -> None:
    """Move a ref or a tag back to where it was."""

    async def run(session: Session) -> list[Moved]:
        before = expected or await _value(session, name)
        if before is None:
            raise DeborchError(ErrorCode.NOT_FOUND, f"{name} is not there", hint="`deborch compose refs` lists refs")
        with input_checked():
            if ":" in name:
                image, _, tag = name.rpartition(":")
                wish = RollbackTag(image=image, tag=tag, expected=before, to=to)
                return [Moved(name=name, before=before, now=await _move_tag(session, "rollback", wish))]
            back = RollbackRef(expected=before, to=to)
        ref = await session.hub.post(f"/api/v1/refs/{quote(name)}/rollback", Ref, back)
        return [Moved(name=name, before=before, now=ref.commit)]

    moved = with_session(run)
    emit(moved, lambda: _moves(moved), as_json=as_json)


def list_refs(limit: Limit = 100, as_json: Json = False) -> None:
    """List the refs of the OSTree remote, and where they are."""
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/refs", Ref, limit=limit))
    rows = [
        (Identity(ref.ref), ref.commit, ref.version, ref.compose_id, Age(ref.promoted_at), ref.promoted_by)
        for ref in found
    ]
    headings = ("ref", "commit", "version", "compose", "promoted", "by")
    emit(found, lambda: Table(headings, rows, "nothing is promoted yet"), as_json=as_json)


def list_promotions(
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only of this ref or IMAGE:TAG.")] = None,
    limit: Limit = 30,
    as_json: Json = False,
) -> None:
    """List what was promoted and rolled back, newest first."""
    found = with_session(
        lambda session: fetch_list(session.hub, "/api/v1/promotions", Promotion, limit=limit, params={"name": name})
    )
    rows = [
        (
            Identity(one.id),
            "rollback" if one.rolled_back else "promote",
            one.name,
            one.previous,
            one.value,
            one.compose_id,
            one.promoted_by,
            Age(one.promoted_at),
        )
        for one in found
    ]
    headings = ("act", "what", "name", "from", "to", "compose", "by", "when")
    emit(found, lambda: Table(headings, rows, "nothing is promoted yet"), as_json=as_json)


def _names_of(compose: Compose, refs: Sequence[str], tags: Sequence[str]) -> list[str]:
    chosen = [*refs, *tags]
    names = chosen or [
        *(commit.ref for commit in compose.commits),
        *(f"{image.image}:{tag}" for image in compose.images for tag in image.tags),
    ]
    if not names:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"compose {compose.id} has nothing to promote: it is {compose.state}",
            hint=f"`deborch compose show {compose.id}` lists commits and images; name a tag with --tag IMAGE:TAG",
        )
    return names


async def _value(session: Session, name: str) -> str | None:
    """Where a ref or a tag is now."""
    if ":" in name:
        tags = await fetch_list(session.hub, "/api/v1/image-tags", ImageTag, limit=10_000)
        return next((tag.digest for tag in tags if f"{tag.image}:{tag.tag}" == name), None)
    try:
        return (await session.hub.get(f"/api/v1/refs/{quote(name)}", Ref)).commit
    except DeborchError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None


async def _promote(session: Session, compose: int, name: str, before: str | None) -> Moved:
    with input_checked():
        if ":" in name:
            image, _, tag = name.rpartition(":")
            wish = PromoteTag(compose_id=compose, image=image, tag=tag, expected=before)
            return Moved(name=name, before=before, now=await _move_tag(session, "promote", wish))
        wanted = PromoteRef(compose_id=compose, expected=before)
    ref = await session.hub.post(f"/api/v1/refs/{quote(name)}/promote", Ref, wanted)
    return Moved(name=name, before=before, now=ref.commit)


async def _move_tag(session: Session, verb: str, wish: PromoteTag | RollbackTag) -> str:
    return (await session.hub.post(f"/api/v1/image-tags/{verb}", ImageTag, wish)).digest


def _moves(moved: Sequence[Moved]) -> Table:
    rows = [(Identity(one.name), one.before, one.now) for one in moved]
    return Table(("name", "before", "now"), rows, "nothing moved")
