"""Fetching the results of a build."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deborch_cli.output import Identity, Size, Table, emit
from deborch_cli.session import Session, fetch_list
from deborch_cli.transfer.download import download, safe_path
from deborch_cli.transfer.progress import Moved, transfer_bars
from deborch_shared.contract.base import Output
from deborch_shared.contract.builds import Artifact
from deborch_shared.errors import DeborchError, ErrorCode

_AT_ONCE = 4
_MAX_ARTIFACTS = 10_000


class Downloaded(Output):
    """One fetched file, as `build download --json` prints it."""

    path: str
    kind: str
    sha256: str
    size_bytes: int


async def download_results(
    session: Session, build_id: int, directory: Path, *, kinds: frozenset[str], overwrite: bool, as_json: bool
) -> None:
    """Bring the artifacts of a build into `directory`, a few at a time, and list them.

    Raises:
        DeborchError: NOT_FOUND if there is nothing to fetch; UNSAFE_PATH, ALREADY_EXISTS or DIGEST_MISMATCH of one.
    """
    params = {"build_id": build_id}
    artifacts = await fetch_list(session.hub, "/api/v1/artifacts", Artifact, limit=_MAX_ARTIFACTS, params=params)
    wanted = _distinct([artifact for artifact in artifacts if not kinds or artifact.kind in kinds])
    if not wanted:
        there = ", ".join(sorted({artifact.kind for artifact in artifacts}))
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"build {build_id} has nothing of that kind" if artifacts else f"build {build_id} has made nothing (yet)",
            hint=f"it has {there}" if artifacts else f"see `deborch build show {build_id}`",
        )
    for artifact in wanted:
        safe_path(directory, artifact.name)
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    sizes = {artifact.name: artifact.size_bytes for artifact in wanted}
    with transfer_bars("download", sizes, shown=not as_json) as moved:
        paths = await _download_all(session, wanted, directory, overwrite, moved)
    _show(wanted, paths, as_json)


def _distinct(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """One artifact for each name: the newest, should a task have been tried more than once.

    Two tasks may have made files of one name, such as a log: their names get the task's number in front.
    """
    newest = {(artifact.task_id, artifact.name): artifact for artifact in sorted(artifacts, key=lambda a: a.id)}
    same: Counter[str] = Counter()
    for contents in {(artifact.name, artifact.sha256) for artifact in newest.values()}:
        same[contents[0]] += 1
    chosen = {}
    for artifact in newest.values():
        name = f"{artifact.task_id}-{artifact.name}" if same[artifact.name] > 1 else artifact.name
        chosen[name] = artifact.model_copy(update={"name": name})
    return list(chosen.values())


async def _download_all(
    session: Session, artifacts: Sequence[Artifact], directory: Path, overwrite: bool, moved: Moved
) -> list[Path]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(artifact: Artifact) -> Path:
        async with slots:
            return await download(session.hub, artifact, directory, overwrite=overwrite, moved=moved)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(artifact)) for artifact in artifacts]
    return [task.result() for task in tasks]


def _show(artifacts: Sequence[Artifact], paths: Sequence[Path], as_json: bool) -> None:
    fetched = [
        Downloaded(path=str(path), kind=artifact.kind, sha256=artifact.sha256, size_bytes=artifact.size_bytes)
        for artifact, path in zip(artifacts, paths, strict=True)
    ]
    rows = [(Identity(file.path), file.kind, Size(file.size_bytes), "verified") for file in fetched]
    emit(fetched, lambda: Table(("file", "kind", "size", "sha256"), rows, ""), as_json=as_json)
