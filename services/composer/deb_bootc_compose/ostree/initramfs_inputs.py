"""What decides an initramfs that dracut makes of a tree.

dracut takes whole directories (its modules, settings of modprobe), and files by names that its scripts spell out, with
the libraries that these need. So: the content of those directories, of every file whose name is a word of those
scripts, and the identity of the packages that own any of them, with all that these depend on. Too much rather than too
little: a package that none of it concerns may change without another initramfs.
"""

import hashlib
import re
import stat
from collections.abc import Iterable

from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.ostree.contents import DPKG, canonical_path
from deb_bootc_compose.ostree.tree import Tree

_DRACUT = "/usr/lib/dracut"
_WHOLE = (
    _DRACUT,
    "/etc/dracut.conf.d",
    "/etc/modprobe.d",
    "/usr/lib/modprobe.d",
    "/etc/modules-load.d",
    "/usr/lib/modules-load.d",
    "/etc/depmod.d",
    "/usr/lib/ostree",
    "/etc/ostree",
    "/etc/udev",
    "/etc/systemd/system.conf.d",
    "/etc/ld.so.conf.d",
    "/usr/share/dracut",
)
_FILES = (
    *("/etc/dracut.conf", "/etc/ld.so.conf", "/etc/vconsole.conf", "/etc/locale.conf", "/etc/fstab", "/etc/crypttab"),
    *("/etc/default/keyboard", "/etc/default/console-setup", "/etc/machine-id", "/etc/modules", "/usr/lib/os-release"),
    *("/etc/passwd", "/etc/group"),
)
_BY_NAME = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/etc")
_NOT_BY_NAME = ("/usr/lib/modules/", "/usr/lib/firmware/", "/usr/lib/python3", "/usr/lib/locale/", "/etc/alternatives/")
_BY_SIZE = ("/usr/lib/modules", "/usr/lib/firmware")
_WORD = re.compile(r"[A-Za-z0-9_.@+-]+")
_RELATION = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def initramfs_inputs(tree: Tree, kernel: str, more: Iterable[str]) -> str:
    """Digest of all of it, for the kernel version `kernel`; `more` are arguments."""
    owners = _owners(tree)
    words = _words(tree)
    content: dict[str, str] = {}
    packages: set[str] = set()
    for path in (*_concerned(tree, words), *_FILES):
        what = _content(tree, path)
        if what is not None:
            content[path] = what
            packages.update(owners.get(path, ()))
    for place in _BY_SIZE:
        for path, status in tree.walk(place) if tree.exists(place) else ():
            if not stat.S_ISDIR(status.st_mode):
                content[path] = str(status.st_size)
                packages.update(owners.get(path, ()))
    return digest_of([kernel, list(more), content, _identities(tree, packages)])


def _concerned(tree: Tree, words: set[str]) -> Iterable[str]:
    for place in _WHOLE:
        if tree.exists(place):
            yield from (path for path, status in tree.walk(place) if not stat.S_ISDIR(status.st_mode))
    for place in _BY_NAME:
        for path, status in tree.walk(place) if tree.exists(place) else ():
            named = path.rpartition("/")[2] in words and not path.startswith(_NOT_BY_NAME)
            if named and not stat.S_ISDIR(status.st_mode):
                yield path


def _words(tree: Tree) -> set[str]:
    """Every word of dracut's scripts; among them are the names of the files that they install."""
    words: set[str] = set()
    for path, status in tree.walk(_DRACUT) if tree.exists(_DRACUT) else ():
        if stat.S_ISREG(status.st_mode) and status.st_size < 1 << 20:
            words.update(_WORD.findall(tree.where(path).read_text(errors="replace")))
    words.update(_WORD.findall(tree.read("/usr/bin/dracut") or ""))
    return words


def _content(tree: Tree, path: str) -> str | None:
    place = tree.where(path, follow=False)
    if place.is_symlink():
        return f"link {place.readlink()}"
    if not place.is_file():
        return None
    status = place.stat()
    with place.open("rb") as opened:
        return f"{status.st_mode:o} {hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _owners(tree: Tree) -> dict[str, list[str]]:
    """Path to packages (`NAME` or `NAME:ARCHITECTURE`, as dpkg names its files)."""
    owners: dict[str, list[str]] = {}
    for name in tree.names(f"{DPKG}/info"):
        if name.endswith(".list"):
            for path in (tree.read(f"{DPKG}/info/{name}") or "").splitlines():
                owners.setdefault(canonical_path(path), []).append(name.removesuffix(".list"))
    return owners


def _identities(tree: Tree, packages: Iterable[str]) -> list[list[str]]:
    """Name, version and checksums of `packages` and everything that they depend on, sorted."""
    stanzas = _stanzas(tree)
    providers: dict[str, list[str]] = {}
    for name, fields in stanzas.items():
        for provided in _names(fields.get("Provides", "")):
            providers.setdefault(provided, []).append(name)
    ahead, closure = [name.partition(":")[0] for name in packages], set()
    while ahead:
        name = ahead.pop()
        if name in closure:
            continue
        closure.add(name)
        fields = stanzas.get(name, {})
        for needed in _names(f"{fields.get('Depends', '')},{fields.get('Pre-Depends', '')}"):
            ahead += [needed] if needed in stanzas else providers.get(needed, [])
    return [[name, stanzas.get(name, {}).get("Version", ""), *_checksums(tree, name)] for name in sorted(closure)]


def _names(relations: str) -> list[str]:
    """Package names of a relation field; versions and architectures do not matter, for all of it is installed."""
    found = (_RELATION.match(part.strip()) for part in re.split(r"[,|]", relations))
    return [match[0] for match in found if match is not None]


def _stanzas(tree: Tree) -> dict[str, dict[str, str]]:
    status = tree.read(f"{DPKG}/status") or ""
    stanzas = {}
    for text in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Depends|Pre-Depends|Provides): (.+)$", text, re.MULTILINE))
        if "Package" in fields:
            stanzas[fields["Package"]] = fields
    return stanzas


def _checksums(tree: Tree, package: str) -> list[str]:
    """Digests of what dpkg knows of the content: the same version may have been built twice."""
    info = f"{DPKG}/info"
    return [
        hashlib.sha256((tree.read(f"{info}/{name}") or "").encode("utf-8", "surrogateescape")).hexdigest()
        for name in (f"{package}.md5sums", *(f"{package}:{arch}.md5sums" for arch in _architectures(tree)))
        if tree.exists(f"{info}/{name}")
    ]


def _architectures(tree: Tree) -> list[str]:
    return [*(tree.read(f"{DPKG}/arch") or "").split(), *(tree.read(f"{DPKG}/arch-native") or "").split()]
