"""`deborch archive`: the APT archives with the results."""

from collections.abc import Sequence
from typing import Annotated

import typer

from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import Json, Limit, TargetArgument
from deborch_cli.output import Age, Identity, Sheet, Size, Table, Url, emit, emit_text, note
from deborch_cli.session import Session, fetch_list, with_session
from deborch_shared.contract.base import Output
from deborch_shared.contract.targets import Archive, PackageEntry, Snapshot

app = typer.Typer(cls=HelpfulGroup, add_completion=False)


class SourcesFile(Output):
    """A deb822 `.sources` file, as `archive sources --json` prints it."""

    target: str
    sources: str


@app.command("list")
def list_archives(limit: Limit = 200, as_json: Json = False) -> None:
    """List the archives."""
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/archives", Archive, limit=limit))
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("show")
def show_archive(target: TargetArgument, as_json: Json = False) -> None:
    """Show the archive of a target, and how to use it."""
    found = with_session(lambda session: session.hub.get(f"/api/v1/archives/{target}", Archive))
    emit(found, lambda: _sheet(found), as_json=as_json)
    note("\nuse it on a Debian machine, as root:", as_json=as_json)
    note(f"  deborch archive sources {found.target} > /etc/apt/sources.list.d/{found.target}.sources", as_json=as_json)
    note("  apt-get update", as_json=as_json)


@app.command("sources")
def show_sources(target: TargetArgument, as_json: Json = False) -> None:
    """Print the deb822 .sources file for APT, with the key inside."""

    async def ask(session: Session) -> str:
        return (await session.hub.call("GET", f"/api/v1/archives/{target}/sources")).decode()

    text = with_session(ask)
    if as_json:
        emit(SourcesFile(target=target, sources=text), lambda: Sheet("", ()), as_json=True)
    else:
        emit_text(text if text.endswith("\n") else text + "\n")


@app.command("snapshots")
def list_snapshots(target: TargetArgument, limit: Limit = 20, as_json: Json = False) -> None:
    """List the snapshots of an archive: what it was at one time, and still is there."""
    path = f"/api/v1/archives/{target}/snapshots"
    found = with_session(lambda session: fetch_list(session.hub, path, Snapshot, limit=limit))
    emit(found, lambda: _snapshots(found), as_json=as_json)


@app.command("packages")
def list_packages(
    target: TargetArgument,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="Only packages or sources whose name has TEXT in it.")
    ] = None,
    limit: Limit = 500,
    as_json: Json = False,
) -> None:
    """List the binary packages of an archive."""

    async def ask(session: Session) -> list[PackageEntry]:
        entries = await fetch_list(session.hub, f"/api/v1/archives/{target}/packages", PackageEntry, limit=limit)
        return [entry for entry in entries if name is None or name in entry.package or name in entry.source]

    found = with_session(ask)
    emit(found, lambda: _packages(found), as_json=as_json)


def _table(archives: Sequence[Archive]) -> Table:
    rows = [
        (Identity(a.target), a.suite, a.sources, a.packages, Size(a.size_bytes), Age(a.published_at), Url(a.url))
        for a in archives
    ]
    return Table(
        ("archive", "suite", "sources", "packages", "size", "published", "url"),
        rows,
        "no archive yet: each target has one, deborch target create",
    )


def _sheet(archive: Archive) -> Sheet:
    return Sheet(
        f"Archive {archive.target}",
        (
            ("suite", archive.suite),
            ("architectures", " ".join(archive.architectures)),
            ("url", Url(archive.url)),
            ("sources file", Url(archive.sources_url)),
            ("signed by", archive.key_fingerprint),
            ("published", Age(archive.published_at)),
            ("generation", archive.generation),
            ("source packages", archive.sources),
            ("binary packages", archive.packages),
            ("size", Size(archive.size_bytes)),
        ),
    )


def _snapshots(snapshots: Sequence[Snapshot]) -> Table:
    rows = [(Identity(s.name), s.generation, s.packages, Age(s.published_at), Url(s.url)) for s in snapshots]
    headings = ("snapshot", "generation", "packages", "published", "url")
    return Table(headings, rows, "no snapshot yet: one is made each time that the archive is published")


def _packages(entries: Sequence[PackageEntry]) -> Table:
    rows = [
        (Identity(e.package), e.version, e.architecture, e.source, Size(e.size_bytes), e.build_id, Age(e.added_at))
        for e in entries
    ]
    headings = ("package", "version", "architecture", "source", "size", "build", "added")
    return Table(headings, rows, "no package")
