"""One document by itself: are its keys those of a treefile, and its values of their kind?"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from deb_bootc_compose.treefile.nodes import Node, document_of
from deb_bootc_compose.treefile.problems import Problems
from deb_bootc_compose.treefile.variables import has_reference
from deb_bootc_compose.treefile.written import Treefile, Variant, Written
from deborch_shared.documents.positions import KeyPath, dotted
from deborch_shared.documents.problems import Problem, nearest, problems_of

ARCHITECTURES = [
    "alpha",
    "amd64",
    "arm64",
    "armel",
    "armhf",
    "hppa",
    "hurd-amd64",
    "hurd-i386",
    "i386",
    "ia64",
    "loong64",
    "m68k",
    "mips64el",
    "mipsel",
    "powerpc",
    "ppc64",
    "ppc64el",
    "riscv64",
    "s390x",
    "sh4",
    "sparc64",
    "x32",
]
"""Of Debian and its ports."""
CUSTOM = "x-"
PACKAGES_OF = "packages-"
_OF_VARIANT = ("inherits", "abstract", "architectures")
ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "repos": "the key is repositories",
        "releasever": "the key is suite",
        "mutate-os-release-version": "the key is mutate-os-release",
        "selinux": "Debian has no SELinux labels in its trees",
        "cliwrap": "it wraps rpm and dnf, which are not here",
        "rpmdb": "the dpkg database is in /usr/lib/sysimage/dpkg",
        "modules": "Debian has no modularity",
        "rojig": "it is gone from rpm-ostree too",
        "ex-jigdo-spec": "it is gone from rpm-ostree too",
        "etc-group-members": "write groups into users",
        "lockfile-repos": "a lock file names the origin of each package",
    }
)
"""Keys of rpm-ostree that are not ours, and why."""


def check_document(document: Node, problems: Problems) -> None:
    """All of one file, with its variants and its parts for one architecture."""
    _check_part(document, Treefile, (), problems)


def _check_part(part: Node, model: type[Written], path: KeyPath, problems: Problems) -> None:
    if not isinstance(part.value, dict):
        if part.value is not None:
            problems.add("a map of keys is expected", key=path, at=part)
        return
    plain: dict[str, Node] = {}
    for key, node in part.map.items():
        if key.startswith(CUSTOM):
            continue
        if key.startswith(PACKAGES_OF):
            _check_packages_of(key, node, path, problems)
        elif key == "variants" and model is Treefile:
            _check_nested(node, Variant, (*path, key), problems)
        elif key == "per-architecture" and model is not Written:
            _check_nested(node, Written, (*path, key), problems)
        elif key in ELSEWHERE:
            problems.add(f"is no key: {ELSEWHERE[key]}", key=(*path, key), at=node)
        else:
            plain[key] = Node(_stubs(node), node.origin) if key == "repositories" else node
    _validate(Node(plain, part.origin), model, path, problems)


def _validate(part: Node, model: type[Written], path: KeyPath, problems: Problems) -> None:
    document = document_of(part)
    try:
        model.model_validate(document.values, by_alias=True, by_name=False)
    except ValidationError as error:
        inputs = [found["input"] for found in error.errors(include_url=False)]
        for problem, given in zip(problems_of(error, document, model), inputs, strict=True):
            if not _waits_for_variables(given) or problem.message.startswith(" is no key"):
                prefix = f"{dotted(path)}." if path else ""
                problems.take(Problem(prefix + problem.key, problem.message, problem.origin))


def _stubs(repositories: Node) -> Any:  # noqa: ANN401
    """Texts and names of files are read later; the others are checked in their places."""
    stub = Node({"name": Node("x"), "target": Node("x")})
    return [stub if isinstance(item.value, str) else item for item in repositories.items]


def _check_nested(node: Node, model: type[Written], path: KeyPath, problems: Problems) -> None:
    if not isinstance(node.value, dict):
        problems.add("a map of names is expected", key=path, at=node)
        return
    for name, part in node.map.items():
        if path[-1] == "per-architecture":
            check_architecture(name, (*path, name), part, problems)
        elif not re.fullmatch(r"[A-Za-z0-9*?\[][A-Za-z0-9._*?\[\]!-]*", name):
            problems.add("letters, digits, . _ - and wild cards are expected", key=(*path, name), at=part)
        _check_part(part, model, (*path, name), problems)


def _check_packages_of(key: str, node: Node, path: KeyPath, problems: Problems) -> None:
    check_architecture(key.removeprefix(PACKAGES_OF), (*path, key), node, problems)
    if not isinstance(node.value, list) or not all(isinstance(item.value, str) for item in node.items):
        problems.add("a list of packages is expected", key=(*path, key), at=node)


def check_architecture(name: str, path: KeyPath | str, at: Node | None, problems: Problems) -> None:
    """Whether `name` is an architecture of Debian."""
    if name not in ARCHITECTURES:
        known = nearest(name, ARCHITECTURES)
        problems.add(f"{name} is no architecture of Debian{known}", key=path, at=at)


def _waits_for_variables(value: object) -> bool:
    """Whether what was refused may be right once variables are put in."""
    if isinstance(value, str):
        return has_reference(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_waits_for_variables(one) for one in inner)
