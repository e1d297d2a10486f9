"""What a treefile that came from the hub may name on this host: its own files, and what the operator allows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_OF_THE_HOST = frozenset({"", "file", "copy", "cdrom", "mirror+file"})
"""Schemes of APT that read this host's file system."""


def confine(treefile: ResolvedTreefile, tree: Path, allowed: Sequence[Path]) -> None:
    """Refuse a treefile that leads out of `tree`, where the files of its order are, and out of `allowed`.

    The engine works as root: whoever may ask the hub for a compose could have it read or write any file otherwise.

    Raises:
        DeborchError: UNSAFE_PATH of class treefile, with the key.
    """
    places = [place.resolve() for place in (tree, *allowed)]
    for key, name in _paths(treefile):
        path = (treefile.directory / name).resolve()
        if not any(path.is_relative_to(place) for place in places):
            raise _refused(key, name)
    for key, uri in _addresses(treefile):
        parts = urlsplit(uri)
        if parts.scheme in _OF_THE_HOST and not any(Path(parts.path).resolve().is_relative_to(one) for one in places):
            raise _refused(key, uri)


def _paths(treefile: ResolvedTreefile) -> Iterator[tuple[str, str]]:
    named = {
        "ostree.repo": treefile.ostree.repo,
        "oci.sign": treefile.oci.sign,
        "registry.credentials": treefile.registry.credentials,
    }
    return ((key, name) for key, name in named.items() if name is not None)


def _addresses(treefile: ResolvedTreefile) -> Iterator[tuple[str, str]]:
    if treefile.mirror is not None:
        yield "mirror", treefile.mirror
    for repository in treefile.repositories:
        for uri in repository.uris:
            yield "repositories.uris", uri


def _refused(key: str, name: str) -> DeborchError:
    return DeborchError(
        ErrorCode.UNSAFE_PATH,
        f"{key}: {bounded(name, 200)!r} is a place on the composer's host",
        hint="name a file beside the treefile, or have the operator of the composer add the directory to"
        " DEBORCH_COMPOSER_ALLOWED_DIRS",
        failure_class="treefile",
        key=key,
    )
