"""Files that come and go beside what packages install."""

import fnmatch
import re
from collections.abc import Iterable

from deb_bootc_compose.ostree.beside import content_of, is_executable
from deb_bootc_compose.ostree.tree import Tree, tree_failure
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.tree import RemovedFromPackage

_DOCUMENTATION = ("/usr/share/man", "/usr/share/info", "/usr/share/doc-base", "/usr/share/lintian", "/usr/share/linda")
_DOC = "/usr/share/doc"
_LOCALES = "/usr/share/locale"
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32")
DPKG = "/var/lib/dpkg"
"""Where the database is while packages are installed."""


def remove_documentation(tree: Tree) -> None:
    """All but copyright files, which licences ask to go with the programs. Left out after the installation: dpkg's
    own path-exclude makes unpacking several times slower."""
    for path in _DOCUMENTATION:
        _empty(tree, path)
    for package in tree.names(_DOC):
        if not tree.where(f"{_DOC}/{package}", follow=False).is_dir():
            continue
        for name in tree.names(f"{_DOC}/{package}"):
            if name != "copyright":
                tree.remove(f"{_DOC}/{package}/{name}")
        if not tree.names(f"{_DOC}/{package}"):
            tree.remove(f"{_DOC}/{package}")


def remove_translations(tree: Tree, kept: Iterable[str]) -> None:
    """Everything but `kept`: a language keeps its territories (`de`: de, de_AT, de@hebrew), a territory itself."""
    wanted = set(kept)
    for name in tree.names(_LOCALES):
        language = re.split(r"[_.@]", name, maxsplit=1)[0]
        is_translation = tree.is_directory(f"{_LOCALES}/{name}/LC_MESSAGES") or len(language) in (2, 3)
        if is_translation and name not in wanted and language not in wanted:
            tree.remove(f"{_LOCALES}/{name}")


def _empty(tree: Tree, path: str) -> None:
    for name in tree.names(path):
        tree.remove(f"{path}/{name}")


def files_of_package(tree: Tree, package: str) -> list[str]:
    """Paths as the package installed them.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if it is not installed.
    """
    for name in tree.names(f"{DPKG}/info"):
        stem, dot, kind = name.rpartition(".")
        if dot and kind == "list" and stem.partition(":")[0] == package:
            return (tree.read(f"{DPKG}/info/{name}") or "").splitlines()
    raise tree_failure(
        f"remove-from-packages names {package}, which is not in the tree", hint="remove it there, or add the package"
    )


def remove_from_packages(tree: Tree, removals: Iterable[RemovedFromPackage]) -> None:
    """Remove files of packages whose whole paths match.

    Raises:
        DeborchError: CHECK_FAILED of class TREE for a package that is not there, and a pattern that matches nothing.
    """
    for removal in removals:
        paths = files_of_package(tree, removal.package)
        for pattern in removal.patterns:
            matching = [path for path in paths if re.fullmatch(pattern, path)]
            if not matching:
                raise tree_failure(
                    f"no file of {removal.package} matches {pattern}",
                    hint="remove-from-packages takes regular expressions that a whole path has to match",
                )
            for path in matching:
                if not tree.is_directory(path):
                    tree.remove(path)


def remove_files(tree: Tree, patterns: Iterable[str]) -> None:
    """Remove files, or directories with all in them; `*`, `?` and `[...]` match within one part of a path.

    What is not there is no error, as with rpm-ostree.
    """
    for pattern in patterns:
        parts = [part for part in pattern.split("/") if part]
        if not parts or ".." in parts:
            raise tree_failure(f"remove-files cannot remove {pattern!r}", hint="name a path in the tree")
        for path in _matching(tree, "", parts):
            tree.remove(path)


def _matching(tree: Tree, directory: str, parts: list[str]) -> list[str]:
    """Paths below `directory`; through links to directories too, as a shell does it."""
    first, *rest = parts
    names = [name for name in tree.names(directory) if fnmatch.fnmatchcase(name, first)]
    paths = [f"{directory}/{name}" for name in names]
    if not rest:
        return paths
    return [found for path in paths if tree.is_directory(path) for found in _matching(tree, path, rest)]


def add_files(tree: Tree, treefile: ResolvedTreefile) -> None:
    """Copy files from beside the treefile.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if one has changed meanwhile.
    """
    for added in treefile.add_files:
        mode = added.mode
        if mode is None:
            mode = 0o755 if is_executable(treefile, added.source) else 0o644
        tree.write(added.destination, content_of(treefile, added.source), mode)


def installed_packages(tree: Tree) -> list[tuple[str, str, str]]:
    """Name, version and architecture of each, sorted, from dpkg's status file."""
    status = tree.read(f"{DPKG}/status") or ""
    found = []
    for stanza in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.+)$", stanza, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            found.append((fields["Package"], fields["Version"], fields["Architecture"]))
    return sorted(found)


def canonical_path(path: str) -> str:
    """Where a file of a package is on a system whose /usr is merged: `/bin/sh` is `/usr/bin/sh`."""
    first, _, rest = path.lstrip("/").partition("/")
    return f"/usr/{first}/{rest}" if first in _MERGED and rest else f"/{path.lstrip('/')}"
