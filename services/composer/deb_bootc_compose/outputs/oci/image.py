"""An image as an OCI layout: configuration, manifest, index, and the blobs that they name.

Source: OCI Image Format Specification 1.1.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deb_bootc_compose.digests import JsonObject, canonical
from deb_bootc_compose.outputs.oci.layer import Compression, Written

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_LAYER_TYPES: Mapping[Compression, str] = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "none": "application/vnd.oci.image.layer.v1.tar",
}
REF_NAME = "org.opencontainers.image.ref.name"
_GO_ARCHITECTURES: Mapping[str, Mapping[str, str]] = {
    "armhf": {"architecture": "arm", "variant": "v7"},
    "armel": {"architecture": "arm", "variant": "v5"},
    "i386": {"architecture": "386"},
    "ppc64el": {"architecture": "ppc64le"},
    "mips64el": {"architecture": "mips64le"},
    "loong64": {"architecture": "loong64"},
    "amd64": {"architecture": "amd64"},
    "arm64": {"architecture": "arm64", "variant": "v8"},
    "riscv64": {"architecture": "riscv64"},
    "s390x": {"architecture": "s390x"},
}


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """One layer, with what is in it."""

    name: str
    components: tuple[str, ...]
    written: Written


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What the layout says of a manifest."""

    digest: str
    """With its algorithm before it: `sha256:...`."""
    size_bytes: int
    media_type: str = MANIFEST_TYPE

    def as_json(self) -> JsonObject:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}


def platform(architecture: str) -> JsonObject:
    """A Debian architecture in the words of OCI."""
    return {"os": "linux", **_GO_ARCHITECTURES.get(architecture, {"architecture": architecture})}


class Layout:
    """A directory with `oci-layout`, `index.json` and `blobs/sha256`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._blobs = directory / "blobs" / "sha256"
        self._blobs.mkdir(parents=True, exist_ok=True)
        (directory / "oci-layout").write_bytes(canonical({"imageLayoutVersion": "1.0.0"}))
        self._manifests: list[JsonObject] = []

    def add_file(self, digest: str, path: Path) -> None:
        """A blob that is there already: a hard link where the file system allows it."""
        target = self._blobs / digest
        if target.exists():
            return
        with contextlib.suppress(OSError):
            os.link(path, target)
            return
        shutil.copyfile(path, target)

    def add(self, content: bytes, media_type: str) -> Descriptor:
        """A small blob."""
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        return Descriptor(f"sha256:{digest}", len(content), media_type)

    def read(self, digest: str) -> bytes:
        """A blob by its digest, with or without algorithm."""
        return (self._blobs / digest.removeprefix("sha256:")).read_bytes()

    def name(self, manifest: Descriptor, name: str, platform_: JsonObject | None = None) -> None:
        """List `manifest` in the index under `name`."""
        entry = {**manifest.as_json(), "annotations": {REF_NAME: name}}
        if platform_ is not None:
            entry["platform"] = platform_
        self._manifests.append(entry)
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": self._manifests}
        (self.directory / "index.json").write_bytes(canonical(index))


def add_image(
    layout: Layout,
    layers: Sequence[ImageLayer],
    *,
    architecture: str,
    compression: Compression,
    created_epoch: int,
    labels: Mapping[str, str],
    command: Sequence[str],
) -> Descriptor:
    """Write configuration and manifest of an image whose layers are in `layout`."""
    created = datetime.fromtimestamp(created_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "created": created,
        **platform(architecture),
        "config": {
            "Labels": dict(labels),
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"],
            "Cmd": list(command),
            "StopSignal": "SIGRTMIN+3",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.written.diff_digest}" for layer in layers]},
        "history": [{"created": created, "created_by": "deb-bootc-compose", "comment": layer.name} for layer in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": layout.add(canonical(config), CONFIG_TYPE).as_json(),
        "layers": [
            {
                "mediaType": _LAYER_TYPES[compression],
                "digest": f"sha256:{layer.written.digest}",
                "size": layer.written.size_bytes,
                "annotations": {"ostree.components": ",".join(layer.components)},
            }
            for layer in layers
        ],
        "annotations": dict(labels),
    }
    return layout.add(canonical(manifest), MANIFEST_TYPE)


def add_index(layout: Layout, images: Sequence[tuple[Descriptor, str]], annotations: Mapping[str, str]) -> Descriptor:
    """An index of one image an architecture (Debian's name of it)."""
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [{**image.as_json(), "platform": platform(architecture)} for image, architecture in images],
        "annotations": dict(annotations),
    }
    return layout.add(canonical(index), INDEX_TYPE)
