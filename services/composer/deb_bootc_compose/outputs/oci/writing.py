"""From a tree to an image in an OCI layout: plan, layers, configuration."""

import asyncio
import errno
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from deb_bootc_compose.commits.listing import CommittedFile, FileKind
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.oci.cache import LayerCache
from deb_bootc_compose.outputs.oci.image import Descriptor, ImageLayer, Layout, add_image
from deb_bootc_compose.outputs.oci.layer import Written
from deb_bootc_compose.outputs.oci.owners import STATE, Component, components
from deb_bootc_compose.outputs.oci.plan import PlannedLayer, plan
from deb_bootc_compose.outputs.oci.tree import Tree
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.treefile.outputs import OciSettings
from deborch_shared.errors import DeborchError, ErrorCode


async def write_layers(
    tree: Tree, settings: OciSettings, cache: LayerCache, layout: Layout, *, workers: int, progress: Progress
) -> list[ImageLayer]:
    """Plan the layers of `tree`, write those that the cache lacks, and link all of them into `layout`."""
    owned = await asyncio.to_thread(components, tree)
    planned = plan(owned, settings.max_layers)
    directories = {entry.path: entry for entry in tree.files if entry.kind is FileKind.DIRECTORY}
    layers: list[ImageLayer] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="layer") as pool:
        loop = asyncio.get_running_loop()

        def write(layer: PlannedLayer) -> Written:
            entries = _entries(layer, owned, directories)
            return cache.written(tree, entries, compression=settings.compression, level=settings.level)

        # the largest first, so that no thread ends with them
        order = sorted(planned, key=lambda layer: -sum(owned[name].size_bytes for name in layer.components))
        waiting = {layer.name: loop.run_in_executor(pool, write, layer) for layer in order}
        try:
            for done, layer in enumerate(planned):
                progress.step(f"layer {layer.name}", done, len(planned))
                layers.append(ImageLayer(layer.name, layer.components, await waiting[layer.name]))
        except OSError as error:
            raise _unwritable(error) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(*waiting.values(), return_exceptions=True)
    for layer_written in layers:
        layout.add_file(layer_written.written.digest, cache.blob(layer_written.written.digest))
    return layers


def _entries(
    layer: PlannedLayer, owned: Mapping[str, Component], directories: Mapping[str, CommittedFile]
) -> Sequence[CommittedFile]:
    """What is in the components, and the directories above it; every other directory is in the layer of STATE."""
    files = [entry for name in layer.components for entry in owned[name].entries]
    if STATE in layer.components:
        return [*directories.values(), *files]
    above: dict[str, CommittedFile] = {}
    for entry in files:
        parent = entry.path.rpartition("/")[0]
        while parent and parent not in above:
            above[parent] = directories[parent]
            parent = parent.rpartition("/")[0]
    return [*above.values(), *files]


def write_image(
    layout: Layout,
    layers: Sequence[ImageLayer],
    settings: OciSettings,
    *,
    architecture: str,
    created_epoch: int,
    labels: Mapping[str, str],
) -> Descriptor:
    """Configuration and manifest over `layers`; labels of the treefile win over `labels`."""
    return add_image(
        layout,
        layers,
        architecture=architecture,
        compression=settings.compression,
        created_epoch=created_epoch,
        labels={**labels, **settings.labels},
        command=settings.cmd,
    )


def _unwritable(error: OSError) -> DeborchError:
    return failure(
        FailureClass.OUTPUT,
        ErrorCode.DISK_FULL if error.errno == errno.ENOSPC else ErrorCode.INTERNAL,
        f"a layer could not be written: {error}",
        hint="free space on the disk of the state directory (deb-bootc-compose gc), then resume",
    )
