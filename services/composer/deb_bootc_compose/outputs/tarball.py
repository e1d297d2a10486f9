"""The phase `output.tar`: the tree as one compressed tar, as `machinectl import-tar` and `podman import` take it."""

import asyncio
from pathlib import Path

from deb_bootc_compose.digests import JsonObject, digest_of_file
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.outputs.commit_tree import CommitTree
from deb_bootc_compose.outputs.naming import output_name
from deb_bootc_compose.outputs.oci import layer
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import FileFacts, OstreeFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

_LEVEL = 9


class Tarball(BarePhase):
    """/etc is where a container has it."""

    name = "output.tar"
    needs = ("ostree",)
    after = ("lint",)

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        if treefile is None:
            return False
        return OutputKind.TAR in (request.outputs if request.outputs is not None else treefile.outputs)

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        return treefile is not None and OutputKind.TAR in treefile.failable

    async def inputs(self, work: PhaseWork) -> JsonObject:
        treefile = work.treefile
        return {
            "name": [treefile.name, treefile.variant, treefile.suite, treefile.architecture, treefile.output_name],
            "format": layer.FORMAT,
            "level": _LEVEL,
        }

    async def run(self, work: PhaseWork) -> JsonObject:
        with failures_are(FailureClass.OUTPUT):
            ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
            tree = await CommitTree.of(work.state.work_repository, ostree.commit, work.tools)
            path = work.directory / f"{output_name(work.treefile, ostree)}.tar.zst"
            work.progress.step("compressing the tree")
            return (await asyncio.to_thread(_write, tree, path)).model_dump(mode="json")


def _write(tree: CommitTree, path: Path) -> FileFacts:
    layer.write_layer(tree, tree.files, path, compression="zstd", level=_LEVEL)
    return FileFacts(path=path.name, sha256=digest_of_file(path), size_bytes=path.stat().st_size)
