"""How files that plug-ins leave, and packages in them, are named."""

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
