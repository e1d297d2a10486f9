"""Submitting a build: the source checked and uploaded, the target found, the build asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deborch_cli.arguments import checked_name, input_checked
from deborch_cli.options import new_key
from deborch_cli.output import note
from deborch_cli.output.humanise import size
from deborch_cli.session import Session, fetch_list
from deborch_cli.source_package import read_source_package, read_suite_source
from deborch_cli.transfer.progress import transfer_bars
from deborch_cli.transfer.upload import LocalFile, upload
from deborch_shared.contract.builds import BuildCreate, BuildDetail, SuiteSource, UploadedFile
from deborch_shared.contract.targets import Target
from deborch_shared.errors import DeborchError, ErrorCode


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to build; no target: the only one there is."""

    target: str | None
    architectures: tuple[str, ...]
    scratch: bool
    priority: int
    after_builds: tuple[int, ...]
    required_tags: tuple[str, ...]


async def submit_build(session: Session, package: str, wishes: Wishes, *, as_json: bool) -> BuildDetail:
    """Have `package` built: a .dsc, or NAME[=VERSION]. Nothing is uploaded unless all of it is in order."""
    files: list[LocalFile] = []
    suite_source: SuiteSource | None = None
    if package.endswith(".dsc") or "/" in package:
        dsc, beside = read_source_package(Path(package))
        files = [dsc, *beside]
    else:
        suite_source = read_suite_source(package)
    target = await _target(session, wishes)
    uploaded = [UploadedFile(name=file.name, sha256=file.sha256, size_bytes=file.size_bytes) for file in files]
    with input_checked():
        wanted = BuildCreate(
            target=target,
            dsc=uploaded[0] if uploaded else None,
            files=tuple(uploaded[1:]),
            suite_source=suite_source,
            architectures=wishes.architectures,
            scratch=wishes.scratch,
            priority=wishes.priority,
            after_builds=wishes.after_builds,
            required_tags=wishes.required_tags,
        )
    await _upload_all(session, files, as_json=as_json)
    return await session.hub.post("/api/v1/builds", BuildDetail, wanted, idempotency_key=new_key())


async def _target(session: Session, wishes: Wishes) -> str:
    """The target wished for, after asking the hub, so that no upload is in vain."""
    if wishes.target is not None:
        target = await session.hub.get(f"/api/v1/targets/{checked_name(wishes.target)}", Target)
        _refuse_other_architectures(target, wishes.architectures)
        return target.name
    targets = await fetch_list(session.hub, "/api/v1/targets", Target, limit=50)
    if len(targets) == 1:
        _refuse_other_architectures(targets[0], wishes.architectures)
        return targets[0].name
    if not targets:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            "there is no target to build against yet",
            hint="make one: deborch target create bookworm --arch amd64",
        )
    names = ", ".join(target.name for target in targets)
    raise DeborchError(
        ErrorCode.INVALID_INPUT,
        f"there are {len(targets)} targets: {names}",
        hint="choose one with --target, or set DEBORCH_TARGET",
    )


def _refuse_other_architectures(target: Target, architectures: Sequence[str]) -> None:
    unknown = [name for name in architectures if name not in target.architectures]
    if unknown:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"target {target.name} does not build for {', '.join(unknown)}",
            hint=f"it builds for {', '.join(target.architectures)}",
        )


async def _upload_all(session: Session, files: Sequence[LocalFile], *, as_json: bool) -> None:
    with transfer_bars("upload", {file.name: file.size_bytes for file in files}, shown=not as_json) as moved:
        new = [file for file in files if await upload(session.hub, file, moved=moved)]
    if new:
        amount = size(sum(file.size_bytes for file in new))
        note(f"uploaded {len(new)} of {len(files)} files, {amount}", as_json=as_json)
    elif files:
        note(f"the hub has all {len(files)} files already", as_json=as_json)
