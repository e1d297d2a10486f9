"""The phase `output.index`: one name for the images of a variant on all its architectures."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.outputs.oci.image import Descriptor, Layout, add_index
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Scope, Target
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import IndexFacts, OciFacts, OstreeFacts

IMAGES = "output.ociarchive"


class ImageIndex(BarePhase):
    """A layout `VARIANT/` for each variant that has several architectures; nothing for others."""

    name = "output.index"
    scope = Scope.COMPOSE
    needs = (IMAGES,)

    async def inputs(self, work: PhaseWork) -> JsonObject:
        return {
            variant: {target.architecture: result.facts["manifest_digest"] for target, result in images}
            for variant, images in images_by_variant(work).items()
        }

    async def run(self, work: PhaseWork) -> JsonObject:
        digests: dict[str, str] = {}
        with failures_are(FailureClass.OUTPUT):
            for variant, images in images_by_variant(work).items():
                if len(images) > 1:
                    version = version_of(work, images[0][0])
                    digests[variant] = await asyncio.to_thread(_write, work.directory / variant, images, version)
        return IndexFacts(digests=digests).model_dump(mode="json")


def images_by_variant(work: PhaseWork) -> dict[str, list[tuple[Target, PhaseResult]]]:
    """Variant to its finished images, in the order of their architectures."""
    found: dict[str, list[tuple[Target, PhaseResult]]] = {}
    for (phase, target), result in sorted(work.all_results.items(), key=lambda item: (item[0][0], str(item[0][1]))):
        if phase == IMAGES and target is not None:
            found.setdefault(target.variant, []).append((target, result))
    return found


def version_of(work: PhaseWork, target: Target) -> str:
    """Of the commit that an image of `target` was made of."""
    return OstreeFacts.model_validate(work.all_results["ostree", target].facts).version


def _write(directory: Path, images: Sequence[tuple[Target, PhaseResult]], version: str) -> str:
    layout = Layout(directory)
    described: list[tuple[Descriptor, str]] = []
    for target, result in images:
        blobs = result.directory / "oci" / "blobs" / "sha256"
        for blob in blobs.iterdir():
            layout.add_file(blob.name, blob)
        digest = OciFacts.model_validate(result.facts).manifest_digest
        size = (blobs / digest.removeprefix("sha256:")).stat().st_size
        described.append((Descriptor(digest, size), target.architecture))
    index = add_index(layout, described, {"org.opencontainers.image.version": version})
    layout.name(index, version)
    return index.digest
