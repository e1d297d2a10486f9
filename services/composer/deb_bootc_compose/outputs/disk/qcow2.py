"""The phase `output.qcow2`: the raw disk, compressed, as virtual machines take it."""

import asyncio

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.full_disk import full_disk_is_told
from deb_bootc_compose.outputs.disk.asked import asks_for
from deb_bootc_compose.outputs.disk.raw import facts_of
from deb_bootc_compose.outputs.naming import output_name
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import FileFacts, OstreeFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

_TAKES_AT_MOST_S = 1800.0
_OPTIONS = "compat=1.1,compression_type=zstd,lazy_refcounts=off"
"""zstd is read by qemu 5.1 of 2020 and later."""


class Qcow2Disk(BarePhase):
    """Grows as it is written to; `qemu-img resize` makes room for more."""

    name = "output.qcow2"
    needs = ("ostree", "output.raw")

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        return asks_for(OutputKind.QCOW2, request, treefile)

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        return treefile is not None and OutputKind.QCOW2 in treefile.failable

    async def inputs(self, work: PhaseWork) -> JsonObject:
        return {"tools": work.tools.digest, "options": _OPTIONS}

    async def run(self, work: PhaseWork) -> JsonObject:
        with failures_are(FailureClass.OUTPUT), full_disk_is_told(work.directory):
            return (await _make(work)).model_dump(mode="json")


async def _make(work: PhaseWork) -> FileFacts:
    raw = work.results["output.raw"]
    source = raw.directory / FileFacts.model_validate(raw.facts).path
    ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
    path = work.directory / f"{output_name(work.treefile, ostree)}.qcow2"
    work.progress.step("compressing the disk")
    await work.tools.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", _OPTIONS, str(source), str(path)],
        bound=[Bound(source), Bound(work.directory, writable=True)],
        on_output=work.progress.log,
        timeout_s=_TAKES_AT_MOST_S,
    )
    return await asyncio.to_thread(facts_of, path)
