"""Templates: files of settings with a name, shipped or local, that other files include.

A template of a suite's or an architecture's name is used by itself. A local one of the same name hides the shipped
one, and may include it: within a template, its own name means the next one below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_mock.configuration.documents import SUFFIXES, read_document, refused
from deb_mock.configuration.layers import Layer

SHIPPED = Path(__file__).parent / "templates"
INCLUDE = "include"


@dataclass(frozen=True, slots=True)
class Templates:
    """Directories of templates, the first hides the others."""

    directories: Sequence[Path]

    def find(self, name: str, *, below: Path | None = None) -> Path | None:
        """The file of template `name`; with `below`, the next one that this file hides."""
        found = [
            path
            for directory in self.directories
            for suffix in SUFFIXES
            if "/" not in name and (path := directory / f"{name}{suffix}").is_file()
        ]
        if below is not None and below in found:
            found = found[found.index(below) + 1 :]
        return found[0] if found else None

    def names(self) -> list[str]:
        """Of all templates."""
        files = (path for directory in self.directories for path in directory.glob("*") if path.suffix in SUFFIXES)
        return sorted({path.stem for path in files})

    def read(self, path: Path, trail: tuple[Path, ...] = ()) -> Layer:
        """The file at `path` over what it includes.

        Raises:
            DeborchError: INVALID_SETTING, also for a template that includes itself through others.
        """
        if path in trail:
            around = " -> ".join(_shown(step) for step in (*trail[trail.index(path) :], path))
            raise refused(f"{_shown(path)}: includes itself: {around}")
        layer = read_document(path, shown_as=_shown(path))
        layer.directory = path.parent
        includes = layer.values.pop(INCLUDE, [])
        at = layer.origins.pop((INCLUDE,), None)
        names = [includes] if isinstance(includes, str) else includes
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise refused(f"{at}: include: a list of template names or files is expected")
        lower = Layer()
        for name in names:
            lower = self.read(self._included(name, path, f"{at}: include"), (*trail, path)).put_over(lower)
        return with_absolute_paths(layer).put_over(lower)

    def _included(self, name: str, includer: Path, where: str) -> Path:
        if "/" in name or name.endswith(SUFFIXES):
            path = Path(includer.parent, name)
            if path.is_file():
                return path
            raise refused(f"{where}: there is no file {path}")
        path_of_name = self.find(name, below=includer)
        if path_of_name is None:
            raise refused(f"{where}: there is no template {name!r}", hint=f"there are {', '.join(self.names())}")
        return path_of_name


def _shown(path: Path) -> str:
    """Shipped templates by name: where they are installed says nothing."""
    return f"template {path.stem}" if path.parent == SHIPPED else str(path)


_PATHS = ("keyring", "state_dir", "cache_dir", "result_dir")


def with_absolute_paths(layer: Layer) -> Layer:
    """Relative paths in a file are relative to the directory of the file."""
    if layer.directory is None:
        return layer
    base = layer.directory.absolute()

    def absolute(value: object) -> object:
        return str(base / value) if isinstance(value, str) else value

    def inside(item: object) -> object:
        return {**item, "path": absolute(item.get("path"))} if isinstance(item, dict) else absolute(item)

    values = layer.values
    for key in _PATHS:
        if key in values:
            values[key] = absolute(values[key])
    if isinstance(values.get("source"), dict) and "keyring" in values["source"]:
        values["source"]["keyring"] = absolute(values["source"]["keyring"])
    for key in ("repositories", "repositories+", "binds", "binds+"):
        if isinstance(values.get(key), list):
            values[key] = [inside(item) for item in values[key]]
    return layer
