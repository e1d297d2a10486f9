"""The phase `ostree`: the gathered packages become a commit in the work repository."""

import asyncio
import errno
from pathlib import Path

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.commits.work_refs import PREFIX
from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure, failures_are
from deb_bootc_compose.full_disk import full_disk_is_told
from deb_bootc_compose.gather.lock import LOCK_FILE, Lock, read_lock
from deb_bootc_compose.ostree.assembly import Assembled, Plan, assemble
from deb_bootc_compose.ostree.beside import executables
from deb_bootc_compose.ostree.committing import commit_metadata, commit_tree
from deb_bootc_compose.ostree.epoch import newest_package_s
from deb_bootc_compose.ostree.parent import Parent, parent_commit, read_parent
from deb_bootc_compose.ostree.version import next_version
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import GatherFacts, OstreeFacts
from deb_bootc_compose.state.trees import staging
from deb_bootc_compose.tools.room import require_root
from deb_bootc_compose.treefile.outputs import OstreeMode
from deborch_shared.errors import ErrorCode

REPOSITORY = "repository"
_NOT_OF_THE_TREE = {
    *("directory", "documents", "outputs", "failable", "output_name", "oci", "registry", "disk", "bootloader"),
    *("phase_timeouts_s", "mirror", "snapshot", "keyrings", "repositories", "build", "sources", "ostree"),
}
"""Keys that change nothing in a commit, or only what `gather` found."""


class OstreePhase(BarePhase):
    """Makes the tree of each target, and commits it."""

    name = "ostree"
    needs = ("gather",)
    version = 1

    async def inputs(self, work: PhaseWork) -> JsonObject:
        """Not the parent: `holds` says whether an earlier commit still fits."""
        treefile = work.treefile
        beside = {name: sha256 for name, sha256 in treefile.files.items() if name not in treefile.documents}
        return {
            "treefile": {**treefile.model_dump(mode="json", exclude=_NOT_OF_THE_TREE), "files": beside},
            "executables": await asyncio.to_thread(executables, treefile),
            "filesystem": treefile.disk.filesystem,
            "tools": work.tools.digest,
            "version": work.request.version,
            "epoch": work.request.source_date_epoch,
        }

    async def holds(self, work: PhaseWork, result: PhaseResult) -> bool:
        """The commit is there, whole, and what the ref is at, or follows it. This compose keeps it from then on."""
        facts = OstreeFacts.model_validate(result.facts)
        if await parent_commit(work) not in (facts.commit, facts.parent):
            return False
        repository = OstreeRepository(work.state.work_repository, work.tools)
        if not await repository.is_whole(facts.commit):
            return False
        await repository.set_ref(compose_ref(work), facts.commit)
        return True

    async def run(self, work: PhaseWork) -> JsonObject:
        """Install, change, lay out, commit."""
        require_root()
        with failures_are(FailureClass.TREE), full_disk_is_told(work.state.root):
            try:
                facts = await _make(work)
            except OSError as error:
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                raise _of_system(error) from error
        return facts.model_dump(mode="json")


def compose_ref(work: PhaseWork) -> str:
    """The ref in the work repository by which this compose keeps its commit."""
    target = str(work.target).replace("*", "_")
    return f"{PREFIX}/{work.compose_id}/{target}"


async def _make(work: PhaseWork) -> OstreeFacts:
    gathered = work.results["gather"]
    lock = await asyncio.to_thread(read_lock, gathered.directory / LOCK_FILE)
    packages = gathered.directory / REPOSITORY
    parent = await read_parent(work)
    epoch = await _epoch(work, lock, packages, parent)
    before = parent.version if parent else None
    version = next_version(work.request.version, work.treefile.automatic_version_prefix, before, epoch)
    plan = Plan(
        treefile=work.treefile,
        lock=lock,
        repository=packages,
        initramfs_cache=work.state.initramfs,
        accounts=parent.accounts if parent else None,
        version=version,
        epoch=epoch,
    )
    async with staging(work.state, "ostree") as place:
        place.chmod(0o755)
        assembled = await assemble(plan, place, work.progress)
        return await _commit(work, plan, assembled, parent)


async def _commit(work: PhaseWork, plan: Plan, assembled: Assembled, parent: Parent | None) -> OstreeFacts:
    work.progress.step("committing")
    repository = OstreeRepository(work.state.work_repository, work.tools)
    await repository.ensure(OstreeMode.BARE)
    gathered = GatherFacts.model_validate(work.results["gather"].facts)
    metadata = commit_metadata(
        version=plan.version,
        target=str(work.target),
        treefile_digest=work.treefile.digest,
        lock_sha256=gathered.lock_sha256,
        packages=assembled.packages,
        sources={source.source: source.version for source in plan.lock.sources},
        more=work.treefile.metadata,
    )
    commit = await commit_tree(
        repository,
        assembled.tree.root,
        ref=work.treefile.ref,
        parent=parent.commit if parent else None,
        epoch=plan.epoch,
        metadata=metadata,
        on_output=work.progress.log,
    )
    await repository.set_ref(compose_ref(work), commit)
    return OstreeFacts(
        commit=commit,
        content_checksum=(await repository.show(commit)).content_checksum,
        ref=work.treefile.ref,
        version=plan.version,
        parent=parent.commit if parent else None,
        kernel_version=assembled.kernel_version,
        package_count=len(assembled.packages),
        tree_bytes=assembled.tree_bytes,
        epoch=plan.epoch,
    )


async def _epoch(work: PhaseWork, lock: Lock, packages: Path, parent: Parent | None) -> int:
    """As asked for, or of the newest package; never before the parent, which clients would refuse."""
    if work.request.source_date_epoch is not None:
        return work.request.source_date_epoch
    debs = [packages / package.file_name for package in lock.packages]
    newest = await asyncio.to_thread(newest_package_s, debs)
    return max(newest, parent.epoch if parent else 0)


def _of_system(error: OSError) -> Exception:
    return failure(
        FailureClass.TREE,
        ErrorCode.CHECK_FAILED,
        f"the tree could not be made: {error}",
        hint="the message names the file; the log of the phase says what was done before",
    )
