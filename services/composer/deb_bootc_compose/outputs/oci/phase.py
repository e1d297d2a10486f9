"""The phase `output.ociarchive`: the commit as a container image, in a layout and as one file."""

import asyncio
from pathlib import Path

from deb_bootc_compose.digests import JsonObject, digest_of_file
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.outputs.commit_tree import CommitTree
from deb_bootc_compose.outputs.naming import output_name
from deb_bootc_compose.outputs.oci import layer
from deb_bootc_compose.outputs.oci.archive import write_archive
from deb_bootc_compose.outputs.oci.cache import LayerCache
from deb_bootc_compose.outputs.oci.image import Descriptor, ImageLayer, Layout, platform
from deb_bootc_compose.outputs.oci.labels import image_labels
from deb_bootc_compose.outputs.oci.signing import add_signature, load_key
from deb_bootc_compose.outputs.oci.writing import write_image, write_layers
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import OciFacts, OstreeFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class OciArchive(BarePhase):
    """An image whose layers are shared with the composes before, byte for byte the same from the same commit."""

    name = "output.ociarchive"
    needs = ("ostree",)
    after = ("lint",)

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        """A registry is given the archive's layout."""
        if treefile is None:
            return False
        kinds = request.outputs if request.outputs is not None else treefile.outputs
        return OutputKind.OCIARCHIVE in kinds or OutputKind.REGISTRY in kinds

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        return treefile is not None and OutputKind.OCIARCHIVE in treefile.failable

    async def inputs(self, work: PhaseWork) -> JsonObject:
        treefile = work.treefile
        key = _key_path(work)
        return {
            "settings": treefile.oci.model_dump(mode="json", exclude={"tags"}),
            "name": [treefile.name, treefile.variant, treefile.suite, treefile.architecture, treefile.output_name],
            "format": layer.FORMAT,
            "compressor": layer.COMPRESSOR[treefile.oci.compression],
            "key": await asyncio.to_thread(digest_of_file, key) if key is not None else None,
        }

    async def run(self, work: PhaseWork) -> JsonObject:
        with failures_are(FailureClass.OUTPUT):
            return (await self._run(work)).model_dump(mode="json")

    async def _run(self, work: PhaseWork) -> OciFacts:
        ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
        work.progress.step("reading the commit")
        tree = await CommitTree.of(work.state.work_repository, ostree.commit, work.tools)
        layout = Layout(work.directory / "oci")
        cache = LayerCache(work.state.layers)
        settings = work.treefile.oci
        layers = await write_layers(tree, settings, cache, layout, workers=work.request.workers, progress=work.progress)
        image = write_image(
            layout,
            layers,
            settings,
            architecture=work.treefile.architecture,
            created_epoch=ostree.epoch,
            labels=image_labels(work.treefile, ostree),
        )
        layout.name(image, ostree.version, platform(work.treefile.architecture))
        _sign(work, layout, image)
        work.progress.step("writing the archive")
        archive = work.directory / f"{output_name(work.treefile, ostree)}.ociarchive"
        await asyncio.to_thread(write_archive, layout.directory, archive)
        return await asyncio.to_thread(_facts, archive, image, layers)


def image_name(treefile: ResolvedTreefile) -> str:
    """What the image is called in a registry and in its signature."""
    return treefile.oci.name or f"{treefile.name}-{treefile.variant}".lower()


def _key_path(work: PhaseWork) -> Path | None:
    """The signing key beside the treefile, or anywhere by an absolute path."""
    if not work.request.sign or work.treefile.oci.sign is None:
        return None
    return work.treefile.directory / work.treefile.oci.sign


def _sign(work: PhaseWork, layout: Layout, image: Descriptor) -> None:
    key = _key_path(work)
    if key is not None:
        add_signature(layout, image, image_name(work.treefile), load_key(key))


def _facts(archive: Path, image: Descriptor, layers: list[ImageLayer]) -> OciFacts:
    return OciFacts(
        archive=archive.name,
        archive_sha256=digest_of_file(archive),
        manifest_digest=image.digest,
        layers=tuple((f"sha256:{one.written.digest}", one.written.size_bytes) for one in layers),
    )
