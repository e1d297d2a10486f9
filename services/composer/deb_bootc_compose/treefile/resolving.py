"""A treefile and all that it includes, resolved for variants and architectures."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.treefile import rules, variants
from deb_bootc_compose.treefile.checking import check_architecture
from deb_bootc_compose.treefile.including import Documents, Inclusion
from deb_bootc_compose.treefile.nodes import EMPTY, Node, document_of, key_as_written, merged
from deb_bootc_compose.treefile.problems import Problems
from deb_bootc_compose.treefile.reach import Reach
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.settling import customs, settled_contents
from deb_bootc_compose.treefile.variables import check_given, settled, substituted
from deborch_shared.documents.positions import Origin
from deborch_shared.documents.problems import Problem, problems_of
from deborch_shared.errors import ErrorCode

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el", "i686": "i386"}
_REF = "debian/${suite}/${architecture}/${variant}"
_OUTPUT_NAME = "${name}-${variant}-${version}.${architecture}"
_OUTPUT_NAME_ALONE = "${name}-${version}.${architecture}"
"""Where the only variant is of the treefile's name."""
TargetName = tuple[str, str]
"""Variant and architecture."""


def native_architecture() -> str:
    """Debian's name for this machine."""
    return _MACHINES.get(platform.machine(), platform.machine())


@dataclass(slots=True)
class Asked:
    """A treefile, and what it is resolved with."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    allowed: Sequence[Path] = ()
    """Directories beside its own whose files it may name."""


def resolve(
    path: Path,
    variant: str = "",
    architecture: str = "",
    variables: Mapping[str, str] | None = None,
    *,
    allowed: Sequence[Path] = (),
) -> ResolvedTreefile:
    """The treefile at `path` for one target; no variant: the only one, no architecture: that of this machine.

    Raises:
        DeborchError: INVALID_INPUT, with every problem, each with file, line and key.
    """
    asked = Asked(path, variables or {}, allowed)
    found = resolve_all(asked, variants=[variant] if variant else (), architectures=[architecture or _native(asked)])
    if len(found) == 1:
        return next(iter(found.values()))
    there = ", ".join(name for name, _ in found) or "none for this architecture"
    hint = "name one variant (--variant); deb-bootc-compose show --list FILE lists them"
    raise failure(
        FailureClass.TREEFILE, ErrorCode.INVALID_INPUT, f"{path}: which variant? There are {there}", hint=hint
    )


def _native(asked: Asked) -> str:
    """This machine's if the treefile is for it, or else the first that it is for."""
    architectures = _Reading(asked).architectures
    native = native_architecture()
    return native if native in architectures or not architectures else architectures[0]


def resolve_all(
    asked: Asked, *, variants: Iterable[str] = (), architectures: Iterable[str] = ()
) -> dict[TargetName, ResolvedTreefile]:
    """Every target whose variant and architecture match a name or a pattern; none given: all of the treefile.

    Raises:
        DeborchError: INVALID_INPUT, with every problem of every target.
    """
    reading = _Reading(asked)
    result: dict[TargetName, ResolvedTreefile] = {}
    for name, architecture in reading.targets(list(variants), list(architectures)):
        resolved = reading.resolved(name, architecture)
        if resolved is not None:
            result[name, architecture] = resolved
    reading.check_together(result)
    reading.problems.refuse_if_any()
    return result


def targets(asked: Asked) -> list[TargetName]:
    """All that the treefile is for.

    Raises:
        DeborchError: INVALID_INPUT
    """
    reading = _Reading(asked)
    found = reading.targets([], [])
    reading.problems.refuse_if_any()
    return found


class _Reading:
    """One treefile with its documents, each read once."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.problems = Problems()
        self._reach = Reach(asked.path.parent.resolve(), tuple(asked.allowed))
        self._documents = Documents(self._reach, asked.path.parent, self.problems)
        self._declared: set[str] = set()
        self._broken = False
        self._stem = asked.path.name.split(".")[0] or "treefile"
        self._listed = self._outermost(None)[1]
        self._broken = bool(self.problems.found)

    def _outermost(self, architecture: str | None) -> tuple[Inclusion, Node]:
        inclusion = Inclusion(self._documents, architecture, self._asked.variables)
        return inclusion, inclusion.outermost(self._asked.path.name)

    @property
    def architectures(self) -> list[str]:
        """Those that the treefile names."""
        return [str(item.value) for item in self._listed.map.get("architectures", EMPTY).items]

    def _name(self, root: Node) -> str:
        return str(root.map.get("name", Node(self._stem)).value)

    def targets(self, asked_variants: list[str], asked_architectures: list[str]) -> list[TargetName]:
        """Those that match."""
        declared = self.architectures or [native_architecture()]
        for name in (*self.architectures, *asked_architectures):
            if not variants.is_pattern(name):
                check_architecture(name, "", None, self.problems)
        chosen = declared
        if asked_architectures:
            there = declared if self.architectures else [*dict.fromkeys([*declared, *asked_architectures])]
            chosen = variants.chosen(asked_architectures, there, self.problems, what="architecture")
        found = self._listed.map.get("variants", EMPTY)
        if self.architectures:
            variants.check_architectures(found, self.architectures, self.problems)
        if not variants.check(found, self.problems):
            return []
        there = variants.composed(found) if found.map else [self._name(self._listed)]
        return [
            (name, architecture)
            for name in variants.chosen(asked_variants, there, self.problems, what="variant")
            for architecture in variants.architectures(found, name, chosen)
        ]

    def resolved(self, variant: str, architecture: str) -> ResolvedTreefile | None:
        """One target; None if there are problems."""
        before = len(self.problems.found)
        self._reach.files = {}
        inclusion, root = self._outermost(architecture)
        found = root.map.get("variants", EMPTY)
        node = root.without("variants", "architectures", "name")
        name = self._name(root)
        built_in = {"architecture": architecture, "variant": variant, "name": name}
        if not variants.check(found, self.problems):
            return None
        for part in variants.parts(found, variant).values():
            below = settled(node.map.get("variables", EMPTY), self._asked.variables, built_in, Problems())
            node = merged(node, inclusion.part(part, below={**below, **built_in}).without(*variants.OWN_KEYS, "name"))
        documents = tuple(dict.fromkeys(inclusion.trails))
        node = self._settled(node, built_in, found)
        self._broken |= len(self.problems.found) > before
        if self._broken:
            return None
        return self._validated(node, built_in, documents)

    def _settled(self, node: Node, built_in: Mapping[str, str], found: Node) -> Node:
        alone = not found.map
        defaults = {"ref": Node(_REF), "output-name": Node(_OUTPUT_NAME_ALONE if alone else _OUTPUT_NAME)}
        node = merged(Node(defaults), node)
        known = dict(built_in)
        suite = node.map.get("suite", EMPTY).value
        if not isinstance(suite, str):
            if self._documents.is_complete:
                outermost = self._documents.place(self._asked.path.name)
                self.problems.add("is needed, such as trixie", key="suite", at=Origin(outermost))
            known["suite"] = ""
        else:
            values = settled(node.map.get("variables", EMPTY), self._asked.variables, built_in, Problems())
            known["suite"] = str(substituted(Node(suite), values, self.problems, ("suite",)).value)
        values = settled(node.map.get("variables", EMPTY), self._asked.variables, known, self.problems)
        self._declared.update(node.map.get("variables", EMPTY).map)
        node = substituted(node.without("variables"), values, self.problems)
        return settled_contents(node, known["architecture"], self._reach, self.problems)

    def _validated(
        self, node: Node, built_in: Mapping[str, str], documents: tuple[str, ...]
    ) -> ResolvedTreefile | None:
        node, custom = customs(node)
        document = document_of(node)
        own = {
            **built_in,
            "directory": self._reach.directory,
            "files": dict(sorted(self._reach.files.items())),
            "documents": documents,
            "custom": custom,
        }
        try:
            treefile = ResolvedTreefile.model_validate({**document.values, **own}, by_alias=True, by_name=False)
        except ValidationError as error:
            for problem in problems_of(error, document, ResolvedTreefile):
                key = key_as_written(problem.path, document)
                self.problems.take(Problem(key, problem.message, problem.origin))
            return None
        for path, message in rules.complaints(treefile):
            at = document.origin(path)
            key = key_as_written(path, document)
            self.problems.add(message, key=key, at=at or Origin(self._documents.place(documents[0])))
        return treefile

    def check_together(self, found: Mapping[TargetName, ResolvedTreefile]) -> None:
        """Variables are for one of them, and no two may be published in one place."""
        if not self._broken:
            check_given(self._asked.variables, self._declared, self.problems)
        for what in ("ref", "output_name"):
            seen: dict[str, TargetName] = {}
            for target, treefile in found.items():
                value = str(getattr(treefile, what))
                if seen.setdefault(value, target) != target:
                    first, second = (".".join(one) for one in (seen[value], target))
                    key = what.replace("_", "-")
                    self.problems.add(f"{first} and {second} both have {value}; put ${{variant}} in it", key=key)
