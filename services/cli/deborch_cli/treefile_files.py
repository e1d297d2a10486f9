"""The files that a treefile needs, as far as its text tells: what the hub's composers get besides it."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from deborch_cli.transfer.upload import LocalFile
from deborch_shared.contract.composes import TreeFileRef
from deborch_shared.documents.reading import parse_json, parse_yaml, read_text
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sources import parse_dsc

_DOCUMENTS = frozenset({".yaml", ".yml", ".json"})
_LONGEST_NAME = 500
_MOST_FILES = 2_000


def tree_of(treefile: Path, more: Sequence[Path]) -> tuple[str, list[LocalFile]]:
    """The treefile's path in its tree, and the files of the tree: itself, what it names, what that names, `more`.

    The tree's top is the treefile's directory, as for `deb-bootc-compose`, which allows no file outside of it. A name
    with a variable in it cannot be followed: `more` is for those; a directory there means all files below it.

    Raises:
        DeborchError: NOT_FOUND, UNSAFE_PATH for one outside of the directory, INVALID_INPUT for no treefile.
    """
    if not treefile.is_file():
        raise DeborchError(
            ErrorCode.NOT_FOUND, f"there is no treefile {treefile}", hint="give the path of a treefile (YAML or JSON)"
        )
    top = treefile.parent.resolve()
    waiting = [top / treefile.name, *(file for path in more for file in _below(path))]
    found: dict[str, Path] = {}
    while waiting:
        path = Path(os.path.normpath(waiting.pop()))
        if not path.is_relative_to(top) or not path.resolve().is_relative_to(top):
            raise _outside(path, top)
        name = str(path.relative_to(top))
        if name in found:
            continue
        found[name] = path
        if len(found) > _MOST_FILES:
            raise DeborchError(
                ErrorCode.TOO_LARGE, f"the tree has more than {_MOST_FILES} files", hint="name fewer with --file"
            )
        if path.suffix in _DOCUMENTS:
            waiting += _named_in(path, name, top)
        elif path.suffix == ".dsc":
            waiting += _parts_of(path, name)
    return treefile.name, [_local(name, found[name]) for name in sorted(found)]


def as_references(files: Sequence[LocalFile]) -> tuple[TreeFileRef, ...]:
    return tuple(
        TreeFileRef(
            path=file.name,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            executable=os.access(file.path, os.X_OK),
        )
        for file in files
    )


def _below(path: Path) -> Iterator[Path]:
    resolved = path.absolute()
    if resolved.is_dir():
        yield from (file for file in sorted(resolved.rglob("*")) if file.is_file())
    elif resolved.is_file():
        yield resolved.parent.resolve() / resolved.name
    else:
        raise DeborchError(ErrorCode.NOT_FOUND, f"there is no file {path}", hint="see what --file names")


def _named_in(path: Path, name: str, top: Path) -> Iterator[Path]:
    """Files within the tree that any text in this document names, relative to it."""
    text = read_text(path, name)
    document = parse_json(text, name) if path.suffix == ".json" else parse_yaml(text, name)
    for word in _texts(document.values):
        if 0 < len(word) <= _LONGEST_NAME and "\n" not in word and "\0" not in word and not word.startswith("/"):
            other = Path(os.path.normpath(path.parent / word))
            if other.is_relative_to(top) and other.is_file():
                yield other


def _parts_of(dsc: Path, name: str) -> Iterator[Path]:
    """What a source package consists of beside its .dsc."""
    for file in parse_dsc(dsc.read_bytes(), file_name=name).files:
        part = dsc.parent / file.name
        if not part.is_file():
            raise DeborchError(
                ErrorCode.NOT_FOUND, f"{name} names {file.name}, which is not beside it", hint="put it there"
            )
        yield part


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _local(name: str, path: Path) -> LocalFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LocalFile(path, name, digest, path.stat().st_size)


def _outside(path: Path, top: Path) -> DeborchError:
    return DeborchError(
        ErrorCode.UNSAFE_PATH,
        f"{path} is outside of {top}, the directory of the treefile",
        hint="put it, or the treefile, where both are below one directory",
    )
