"""Which package each path of a tree belongs to, as its dpkg database has it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deb_bootc_compose.commits.listing import CommittedFile, FileKind
from deb_bootc_compose.outputs.oci.tree import Tree

DATABASE = "/usr/lib/sysimage/dpkg"
"""Where the dpkg database is in a commit."""
_ALIASED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib32": "usr/lib32", "lib64": "usr/lib64"}
_MOVED = {"etc": "usr/etc"}

DPKG_DATABASE = "dpkg-database"
INITRAMFS = "initramfs"
STATE = "state"
"""What no package owns: caches, users, what scripts made."""
KERNEL = "kernel"
SPECIAL = (INITRAMFS, DPKG_DATABASE, STATE)
"""Never share a layer with packages: they change when anything does."""


@dataclass(slots=True)
class Component:
    """A package, or one of `SPECIAL`: what goes into one layer as a whole."""

    name: str
    entries: list[CommittedFile] = field(default_factory=list)
    size_bytes: int = 0


def components(tree: Tree) -> dict[str, Component]:
    """Every file and link of `tree` under the component that owns it; directories belong to none."""
    owner = _owners(tree)
    found: dict[str, Component] = {}
    for entry in tree.files:
        if entry.kind is FileKind.DIRECTORY:
            continue
        name = _component(entry.path, owner)
        component = found.setdefault(name, Component(name))
        component.entries.append(entry)
        component.size_bytes += entry.size_bytes
    return found


def _component(path: str, owner: Mapping[str, str]) -> str:
    if path.startswith(f"{DATABASE}/"):
        return DPKG_DATABASE
    if path.startswith("/usr/lib/modules/"):
        return INITRAMFS if path.endswith("/initramfs.img") else KERNEL
    name = owner.get(path, STATE)
    return KERNEL if name.startswith("linux-image-") else name


def _owners(tree: Tree) -> dict[str, str]:
    """Path in the commit: name of the package, without architecture. The first in the order of names wins."""
    lists = [
        entry
        for entry in tree.files
        if entry.path.startswith(f"{DATABASE}/info/") and entry.path.endswith(".list") and entry.kind is FileKind.FILE
    ]
    found: dict[str, str] = {}
    for entry in sorted(lists, key=lambda entry: entry.path):
        package = entry.path.rpartition("/")[2].removesuffix(".list").partition(":")[0]
        text = tree.content(entry).read_text(encoding="utf-8", errors="surrogateescape")
        for path in _committed(text.splitlines()):
            found.setdefault(path, package)
    return found


def _committed(paths: Iterable[str]) -> Iterable[str]:
    """Paths as dpkg has them, where a commit has them: /usr is merged, and /etc is below it."""
    for path in paths:
        first, slash, rest = path.strip("/").partition("/")
        if slash:
            yield f"/{(_ALIASED | _MOVED).get(first, first)}/{rest}"
