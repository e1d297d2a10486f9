"""A finished tree becomes a commit in the work repository."""

import re
from collections.abc import Mapping
from pathlib import Path

import orjson

from deb_bootc_compose.commits.repository import OstreeRepository, checked_ref
from deb_bootc_compose.digests import canonical
from deb_bootc_compose.ostree.tree import tree_failure
from deborch_shared.process import OutputSink

PREFIX = "deb-bootc-compose"
_CHECKSUM = re.compile(rb"^([0-9a-f]{64})$", re.MULTILINE)


async def commit_tree(
    repository: OstreeRepository,
    root: Path,
    *,
    ref: str,
    parent: str | None,
    epoch: int,
    metadata: Mapping[str, str],
    on_output: OutputSink,
) -> str:
    """Commit `root`, which is gone afterwards, and return the checksum. It is bound to `ref`, and no ref is set.

    Raises:
        DeborchError: PROCESS_FAILED.
    """
    made = await repository.ostree(
        "commit",
        "--orphan",
        f"--bind-ref={checked_ref(ref)}",
        f"--parent={parent or 'none'}",
        f"--timestamp=@{epoch}",
        f"--subject={metadata['version']}",
        f"--tree=dir={root}",
        "--consume",
        "--fsync=false",
        *(f"--add-metadata-string={name}={value}" for name, value in metadata.items()),
        *(("--bootable",) if (root / "usr/lib/modules").is_dir() and _has_kernel(root) else ()),
        beside=root.parent,
        on_output=on_output,
    )
    found = _CHECKSUM.findall(made.output)
    if not found:
        raise tree_failure("ostree made a commit and did not say which", hint="the log of the phase has what it said")
    return str(found[-1].decode())


def _has_kernel(root: Path) -> bool:
    return any((root / "usr/lib/modules").glob("*/vmlinuz"))


def commit_metadata(
    *,
    version: str,
    target: str,
    treefile_digest: str,
    lock_sha256: str,
    packages: list[tuple[str, str, str]],
    sources: Mapping[str, str],
    more: Mapping[str, object],
) -> dict[str, str]:
    """What the commit says of itself: text, JSON where it is more than a word."""
    metadata = {
        "version": version,
        f"{PREFIX}.target": target,
        f"{PREFIX}.treefile-sha256": treefile_digest,
        f"{PREFIX}.lock-sha256": lock_sha256,
        f"{PREFIX}.packages": canonical(packages).decode(),
        f"{PREFIX}.sources": canonical(dict(sources)).decode(),
    }
    for name, value in more.items():
        metadata[name] = value if isinstance(value, str) else orjson.dumps(value).decode()
    return metadata
