"""`composeinfo.json`, `images.json` and `packages.json` in the shape of productmd 1.2.

Source: https://productmd.readthedocs.io/ ("composeinfo-1.2", "images-1.2", "rpms-1.2"). Packages are Debian's: the
key of a source is NAME_VERSION, that of a binary package NAME_VERSION_ARCHITECTURE.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.gather.lock import Lock
from deb_bootc_compose.metadata.images import Image
from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.request import ComposeRequest

_VERSION = "1.2"
_COMPOSE_ID = re.compile(r"(?P<short>.+)-(?P<version>[^-]+)-(?P<date>\d{8})(?:\.[a-z]+)?\.(?P<respin>\d+)\Z")


def _document(kind: str, payload: JsonObject) -> JsonObject:
    return {"header": {"type": f"productmd.{kind}", "version": _VERSION}, "payload": payload}


def compose_section(compose_id: str, request: ComposeRequest) -> JsonObject:
    """What each of the files says of the compose."""
    parts = _COMPOSE_ID.match(compose_id)
    section: JsonObject = {
        "id": compose_id,
        "type": request.type.value,
        "date": parts["date"] if parts else "",
        "respin": int(parts["respin"]) if parts else 0,
    }
    if request.label is not None:
        section["label"] = request.label
    return section


def composeinfo(
    compose: JsonObject, targets: Iterable[Target], names: tuple[str, str], custom: Mapping[str, Any]
) -> JsonObject:
    """`names`: of the treefile, and its suite. `custom`: what variants carry in `x-` keys."""
    architectures: dict[str, list[str]] = {}
    for target in sorted(targets):
        architectures.setdefault(target.variant, []).append(target.architecture)
    variants = {
        variant: {
            "id": variant,
            "uid": variant,
            "name": variant,
            "type": "variant",
            "arches": found,
            "paths": {"images": {one: f"{variant}/{one}/images" for one in found}},
            **({"custom": custom[variant]} if custom.get(variant) else {}),
        }
        for variant, found in architectures.items()
    }
    name, suite = names
    release = {
        "name": name, "short": name, "version": suite, "type": "ga", "is_layered": False, "internal": False
    }  # fmt: skip
    return _document("composeinfo", {"compose": compose, "release": release, "variants": variants})


def images(compose: JsonObject, found: Iterable[Image]) -> JsonObject:
    """Every image by variant and architecture."""
    listed: dict[str, dict[str, list[JsonObject]]] = {}
    for image in found:
        by_architecture = listed.setdefault(image.target.variant, {})
        by_architecture.setdefault(image.target.architecture, []).append(
            {
                "arch": image.target.architecture,
                "bootable": image.bootable,
                "checksums": {"sha256": image.sha256},
                "disc_count": 1,
                "disc_number": 1,
                "format": image.format,
                "implant_md5": None,
                "mtime": int(image.file.stat().st_mtime),
                "path": image.path,
                "size": image.size_bytes,
                "subvariant": image.target.variant,
                "type": image.kind,
                "unified": False,
                "volume_id": None,
            }
        )
    return _document("images", {"compose": compose, "images": listed})


def packages(compose: JsonObject, locks: Mapping[Target, Lock]) -> JsonObject:
    """Every package by variant, architecture and source."""
    listed: dict[str, dict[str, dict[str, dict[str, JsonObject]]]] = {}
    for target in sorted(locks):
        by_source: dict[str, dict[str, JsonObject]] = {}
        for package in locks[target].packages:
            entry = {
                "arch": package.architecture,
                "sha256": package.sha256,
                "size": package.size_bytes,
                "repository": package.repository,
                "path": package.path,
            }
            name = f"{package.name}_{package.version}_{package.architecture}"
            by_source.setdefault(f"{package.source}_{package.source_version}", {})[name] = entry
        listed.setdefault(target.variant, {})[target.architecture] = by_source
    return _document("packages", {"compose": compose, "packages": listed})
