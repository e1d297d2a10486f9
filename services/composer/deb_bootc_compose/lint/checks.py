"""Each check of `bootc container lint`, by its name there. Source: bootc, crates/lib/src/lints.rs."""

import configparser
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deb_bootc_compose.commits.listing import FileKind
from deb_bootc_compose.lint.root import Node, Root, below

Check = Callable[[Root], Iterator[str]]
"""What is wrong, one text each; nothing: it passed."""

_API_DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "var")
_KARGS_KEYS = {"kargs", "match-architectures"}
_PREPARE_ROOT = ("etc/ostree/prepare-root.conf", "usr/lib/ostree/prepare-root.conf")
_COMPOSEFS_ON = {"yes", "true", "1", "maybe", "signed", "verity"}
_BASE_IMAGE = "usr/share/doc/bootc/baseimage/base"


class CannotCheckError(Exception):
    """The check needs bootc, or a system that runs; the text says which."""


@dataclass(frozen=True, slots=True)
class Lint:
    """A check and how much it matters."""

    check: Check
    fatal: bool


def _is(root: Root, path: str, kind: FileKind) -> bool:
    node = root.nodes.get(path)
    return node is not None and node.kind is kind


def var_run(root: Root) -> Iterator[str]:
    """/var/run is a link to /run."""
    node = root.nodes.get("var/run")
    if node is not None and node.kind is not FileKind.LINK:
        yield "/var/run is no symbolic link"


def buildah_injected(root: Root) -> Iterator[str]:
    """No empty file is where container builders mount theirs."""
    for path in ("etc/hostname", "etc/resolv.conf"):
        node = root.nodes.get(path)
        if node is not None and node.kind is FileKind.FILE and node.size_bytes == 0:
            yield f"/{path} is an empty file, as container builders leave it"


def etc_usretc(root: Root) -> Iterator[str]:
    """Not both /etc and /usr/etc."""
    if "etc" in root.nodes and "usr/etc" in root.nodes:
        yield "there are both /etc and /usr/etc: an image has /etc alone"


def bootc_kargs(root: Root) -> Iterator[str]:
    """What is in /usr/lib/bootc/kargs.d can be read."""
    directory = "usr/lib/bootc/kargs.d"
    if directory in root.nodes and not _is(root, directory, FileKind.DIRECTORY):
        yield f"/{directory} is no directory"
    for path, node in below(root, directory):
        if node.kind is FileKind.FILE and path.endswith(".toml"):
            yield from _kargs_problems(path, root.read(path))


def _kargs_problems(path: str, content: bytes) -> Iterator[str]:
    try:
        table = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        yield f"/{path}: {error}"
        return
    for key in sorted(table.keys() - _KARGS_KEYS):
        yield f"/{path}: unknown key {key}"
    for key in _KARGS_KEYS & table.keys() | {"kargs"}:
        value = table.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield f"/{path}: {key} is no list of texts"


def kernel(root: Root) -> Iterator[str]:
    """At most one kernel."""
    found = sorted(
        path.split("/")[3]
        for path in root.nodes
        if path.startswith("usr/lib/modules/") and path.endswith("/vmlinuz") and path.count("/") == 4
    )
    if len(found) > 1:
        yield f"there are several kernels: {', '.join(found)}"


def utf8(root: Root) -> Iterator[str]:
    """Every name, and what every link names, is UTF-8."""
    for path, node in root.nodes.items():
        for text in (path, node.target):
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                yield f"/{path.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')}: not UTF-8"
                break


def api_base_directories(root: Root) -> Iterator[str]:
    """What the kernel and systemd mount over is there."""
    for path in _API_DIRECTORIES:
        if not _is(root, path, FileKind.DIRECTORY):
            yield f"/{path} is no directory"


def baseimage_root(root: Root) -> Iterator[str]:
    """/sysroot is a directory, and /ostree a link into it."""
    for base in _bases(root):
        if not _is(root, f"{base}sysroot", FileKind.DIRECTORY):
            yield f"/{base}sysroot is no directory"
        node = root.nodes.get(f"{base}ostree", Node(FileKind.FILE))
        if node.kind is not FileKind.LINK or node.target != "sysroot/ostree":
            yield f"/{base}ostree is no link to sysroot/ostree"


def baseimage_composefs(root: Root) -> Iterator[str]:
    """prepare-root.conf asks for composefs, or for a root that is thrown away."""
    for base in _bases(root):
        if not any(_asks_for_composefs(root, f"{base}{path}") for path in _PREPARE_ROOT):
            yield f"no prepare-root.conf below /{base} enables composefs"


def _bases(root: Root) -> tuple[str, ...]:
    return ("", f"{_BASE_IMAGE}/") if _is(root, _BASE_IMAGE, FileKind.DIRECTORY) else ("",)


def _asks_for_composefs(root: Root, path: str) -> bool:
    if not _is(root, path, FileKind.FILE):
        return False
    config = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        config.read_string(root.read(path).decode("utf-8", "replace"))
        transient = config.getboolean("root", "transient", fallback=False)
    except (configparser.Error, ValueError):
        return False
    return transient or config.get("composefs", "enabled", fallback="no").lower() in _COMPOSEFS_ON


def var_log(root: Root) -> Iterator[str]:
    """No log has anything in it."""
    for path, node in below(root, "var/log"):
        if node.kind is FileKind.FILE and node.size_bytes:
            yield f"/{path} has {node.size_bytes} bytes"


def sysusers(root: Root) -> Iterator[str]:
    """Every user and group is one that sysusers.d makes, so that it is there after an upgrade too."""
    users, groups = {"root"}, {"root"}
    for path, node in below(root, "usr/lib/sysusers.d"):
        if node.kind is FileKind.FILE and path.endswith(".conf"):
            for kind, name in _sysusers_lines(root.read(path).decode("utf-8", "replace")):
                groups.add(name)
                if kind == "u":
                    users.add(name)
    for file, known, what in (("etc/passwd", users, "user"), ("etc/group", groups, "group")):
        if _is(root, file, FileKind.FILE):
            lines = root.read(file).decode("utf-8", "replace").splitlines()
            missing = sorted({line.partition(":")[0] for line in lines if line.strip()} - known)
            if missing:
                yield f"not in sysusers.d: {what} {', '.join(missing)}"


def _sysusers_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0].rstrip("!-") in {"u", "g"}:
            yield words[0].rstrip("!-"), words[1].strip('"')


def var_tmpfiles(root: Root) -> Iterator[str]:
    """Whatever is in /var is made by tmpfiles.d. An empty /var has passed; else systemd-tmpfiles has to be asked."""
    if any(True for _ in below(root, "var")):
        raise CannotCheckError("/var is not empty: ask `bootc container lint` inside the image")
    yield from ()


def nonempty_boot(root: Root) -> Iterator[str]:
    """/boot is there and holds nothing: the bootloader's files are made when it is installed."""
    if not _is(root, "boot", FileKind.DIRECTORY):
        yield "there is no directory /boot"
    first = sorted({path.split("/")[1] for path, _ in below(root, "boot")} - {"EFI"})
    if first:
        yield f"/boot has {', '.join(first[:5])}"


def nonempty_run_tmp(root: Root) -> Iterator[str]:
    """/run and /tmp are empty."""
    for directory in ("run", "tmp"):
        first = sorted(path for path, _ in below(root, directory))
        if first:
            yield f"/{directory} has {', '.join(first[:5])}"


LINTS: Mapping[str, Lint] = MappingProxyType(
    {
        "var-run": Lint(var_run, fatal=True),
        "etc-usretc": Lint(etc_usretc, fatal=True),
        "bootc-kargs": Lint(bootc_kargs, fatal=True),
        "kernel": Lint(kernel, fatal=True),
        "utf8": Lint(utf8, fatal=True),
        "api-base-directories": Lint(api_base_directories, fatal=True),
        "baseimage-root": Lint(baseimage_root, fatal=True),
        "buildah-injected": Lint(buildah_injected, fatal=False),
        "baseimage-composefs": Lint(baseimage_composefs, fatal=False),
        "var-log": Lint(var_log, fatal=False),
        "sysusers": Lint(sysusers, fatal=False),
        "nonempty-boot": Lint(nonempty_boot, fatal=False),
        "nonempty-run-tmp": Lint(nonempty_run_tmp, fatal=False),
        "var-tmpfiles": Lint(var_tmpfiles, fatal=False),
    }
)
"""All of them, in the order in which they are told."""
