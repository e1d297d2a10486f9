"""The .dsc files of source packages, as the indices that apt has read name them."""

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

from debian.deb822 import Deb822

from deb_bootc_compose.gather.lock import LockedPackage, LockedSource


def sources_of(packages: Iterable[LockedPackage], indices: Iterable[tuple[Path, str]]) -> tuple[LockedSource, ...]:
    """The source of each package, sorted; with its .dsc if one of the `indices` (file, archive) has that version."""
    wanted = {(package.source, package.source_version) for package in packages}
    found: dict[tuple[str, str], LockedSource] = {}
    for path, archive in indices:
        if path.is_file():
            found.update(_in_index(path, wanted - found.keys(), archive))
    return tuple(found.get(key) or LockedSource(source=key[0], version=key[1]) for key in sorted(wanted))


def _in_index(
    path: Path, wanted: set[tuple[str, str]], repository: str
) -> Iterator[tuple[tuple[str, str], LockedSource]]:
    """One pass over a file of some 60 MB; only stanzas of sources by name are taken apart."""
    names = {name.encode() for name, _ in wanted}
    with path.open("rb") as opened:
        if not path.stat().st_size:
            return
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = 0
            while start < len(content):
                end = content.find(b"\n\n", start)
                end = len(content) if end < 0 else end
                line = content[start : content.find(b"\n", start)]
                if line.startswith(b"Package: ") and line[9:] in names:
                    source = _source(content[start:end], repository)
                    key = (source.source, source.version)
                    if key in wanted:
                        yield key, source
                start = end + 2


def _source(text: bytes, repository: str) -> LockedSource:
    fields = Deb822(text.decode("utf-8", "replace").splitlines())
    for line in str(fields.get("Checksums-Sha256", "")).splitlines():
        words = line.split()
        if len(words) == 3 and words[2].endswith(".dsc"):
            return LockedSource(
                source=fields["Package"],
                version=fields["Version"],
                repository=repository,
                dsc=f"{fields['Directory']}/{words[2]}",
                dsc_sha256=words[0],
                dsc_size_bytes=int(words[1]),
            )
    return LockedSource(source=fields["Package"], version=fields["Version"])
