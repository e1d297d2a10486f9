"""How files that plug-ins leave, and packages in them, are named."""

from collections.abc import Mapping
from urllib.parse import quote

from deb_mock.plugins.api import BuildContext
from deborch_shared.versions import without_epoch


def stem(build: BuildContext) -> str:
    """SOURCE_VERSION_ARCHITECTURE, without the epoch, as in the name of a .changes.

    Raises:
        ValueError: the source package is not read yet.
    """
    if build.source is None:
        raise ValueError("no file is named before the source package is read")
    return f"{build.source.name}_{without_epoch(build.source.version)}_{build.request.architecture}"


def package_url(name: str, version: str, qualifiers: Mapping[str, str]) -> str:
    """A package URL of type deb (https://github.com/package-url/purl-spec)."""
    tail = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(qualifiers.items()))
    return f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?{tail}"
