"""The phase `metadata`: after everything that is made, before anything is promoted."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from deb_bootc_compose.digests import JsonObject, digest_of_file
from deb_bootc_compose.gather.lock import LOCK_FILE, Lock, read_lock
from deb_bootc_compose.metadata import productmd
from deb_bootc_compose.metadata.images import Image, images_of
from deb_bootc_compose.metadata.statements import installed_in, provenance, sbom
from deb_bootc_compose.outputs.commit_tree import CommitTree
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Scope, Target
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import OstreeFacts

STATUS_FILE = "/usr/lib/sysimage/dpkg/status"
CHECKSUMS = "SHA256SUMS"


class Metadata(BarePhase):
    """`metadata/*.json` of the compose, `VARIANT/ARCH/metadata/*` of each target, and SHA256SUMS over the images."""

    name = "metadata"
    scope = Scope.COMPOSE
    after = ("ostree", "lint", "output", "test")
    cacheable = False

    def deliverables(self, result: PhaseResult) -> Mapping[str, Path]:
        return {place: result.directory / place for place in result.facts["files"]}

    async def run(self, work: PhaseWork) -> JsonObject:
        images = await asyncio.to_thread(images_of, work)
        locks = {
            target: await asyncio.to_thread(read_lock, result.directory / LOCK_FILE)
            for (phase, target), result in work.all_results.items()
            if phase == "gather" and target is not None
        }
        documents = _of_compose(work, images, locks)
        for (phase, target), result in work.all_results.items():
            if phase == "ostree" and target in locks:
                work.progress.step(f"describing {target}")
                ostree = OstreeFacts.model_validate(result.facts)
                mine = [image for image in images if image.target == target]
                documents |= await _of_target(work, target, locks[target], ostree, mine)
        return {"files": await asyncio.to_thread(_write, work.directory, documents, images)}


def _of_compose(work: PhaseWork, images: list[Image], locks: Mapping[Target, Lock]) -> dict[str, JsonObject]:
    compose = productmd.compose_section(work.compose_id, work.request)
    first = next(iter(work.treefiles.values()))
    custom = {target.variant: dict(treefile.custom) for target, treefile in work.treefiles.items()}
    info = productmd.composeinfo(compose, work.treefiles, (first.name, first.suite), custom)
    return {
        "metadata/composeinfo.json": info,
        "metadata/images.json": productmd.images(compose, images),
        "metadata/packages.json": productmd.packages(compose, locks),
    }


async def _of_target(
    work: PhaseWork, target: Target, lock: Lock, ostree: OstreeFacts, images: list[Image]
) -> dict[str, JsonObject]:
    tree = await CommitTree.of(work.state.work_repository, ostree.commit, work.tools)
    installed = await asyncio.to_thread(_installed_in, tree)
    times = (datetime.fromtimestamp(work.epoch, UTC), datetime.now(UTC))
    place = f"{target.variant}/{target.architecture}/metadata"
    return {
        f"{place}/sbom.spdx.json": sbom(work, target, lock, ostree, installed),
        f"{place}/provenance.intoto.json": provenance(work, target, lock, ostree, images, times),
    }


def _installed_in(tree: CommitTree) -> frozenset[str]:
    """What dpkg's database in the tree names; nothing if the tree has none."""
    found = [file for file in tree.files if file.path == STATUS_FILE]
    return installed_in(tree.content(found[0]).read_text("utf-8", "replace")) if found else frozenset()


def _write(directory: Path, documents: Mapping[str, JsonObject], images: list[Image]) -> list[str]:
    for place, document in documents.items():
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sums = {image.path: image.sha256 for image in images}
    sums |= {place: digest_of_file(directory / place) for place in documents}
    (directory / CHECKSUMS).write_text("".join(f"{sums[path]}  {path}\n" for path in sorted(sums)))
    return sorted([*documents, CHECKSUMS])
