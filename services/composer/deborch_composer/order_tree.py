"""The files of an order, from the hub's blob store into a directory as the treefile's author had them."""

import asyncio
import shutil
from pathlib import Path

from deborch_shared.contract.composes import ComposeOrder, TreeFileRef
from deborch_shared.events.model import File
from deborch_shared.worker.transfers import Transfers


async def fetch_tree(order: ComposeOrder, directory: Path, transfers: Transfers) -> None:
    """A fresh `directory` with all files of `order` at their paths, which the contract keeps within it.

    Raises:
        DeborchError: DIGEST_MISMATCH, NOT_FOUND, DISK_FULL.
    """
    await asyncio.to_thread(_made_anew, directory)
    async with asyncio.TaskGroup() as group:
        for file in order.files:
            group.create_task(_fetch(file, directory, transfers))


async def _fetch(file: TreeFileRef, directory: Path, transfers: Transfers) -> None:
    path = directory / file.path
    await asyncio.to_thread(lambda: path.parent.mkdir(parents=True, exist_ok=True))
    await transfers.download(File(name=path.name, sha256=file.sha256, size_bytes=file.size_bytes), path)
    await asyncio.to_thread(path.chmod, 0o755 if file.executable else 0o644)


def _made_anew(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=0o755, parents=True)
