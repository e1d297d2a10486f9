"""Documents put over what they include."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deb_bootc_compose.treefile.checking import check_document
from deb_bootc_compose.treefile.nodes import EMPTY, Node, merged, node_of
from deb_bootc_compose.treefile.problems import Problems
from deb_bootc_compose.treefile.reach import OutOfReachError, Reach
from deb_bootc_compose.treefile.rebasing import rebased
from deb_bootc_compose.treefile.variables import holds, settled, substituted
from deborch_shared.documents.positions import Origin
from deborch_shared.documents.reading import parse_json, parse_yaml, read_text

_INCLUDES = ("include", "arch-include", "conditional-include")
_OF_THE_OUTERMOST = ("name",)
Trail = tuple[str, ...]
"""`FILE:LINE` of each include on the way, outermost first."""


@dataclass(slots=True)
class Documents:
    """Files, each read and checked once."""

    reach: Reach
    shown_in: Path
    """How people name the directory."""
    problems: Problems
    read: dict[str, Node] = field(default_factory=dict)
    is_complete: bool = True
    """False: a document is not there or no treefile, so what seems to be missing may be written in it."""

    def place(self, name: str) -> str:
        """How people name a file."""
        return str(self.shown_in / name)

    def document(self, name: str) -> Node:
        """The content of a file that `reach` gave out; empty if it is none."""
        if name not in self.read:
            self.read[name] = EMPTY
            was_complete, self.is_complete = self.is_complete, False
            with self.problems.collecting():
                text = read_text(self.reach.path(name), self.place(name))
                parse = parse_json if name.endswith(".json") else parse_yaml
                node = node_of(parse(text, self.place(name)))
                check_document(node, self.problems)
                self.read[name] = rebased(node, name)
                self.is_complete = was_complete and isinstance(node.value, dict | None)
        return self.read[name]


@dataclass(slots=True)
class Inclusion:
    """Everything that one target includes: no file may come twice."""

    documents: Documents
    architecture: str | None
    """None: parts for one architecture are left out."""
    given: Mapping[str, str]
    trails: dict[str, Trail] = field(default_factory=dict)

    def outermost(self, name: str) -> Node:
        """The treefile over all that it includes."""
        at = Node(name)
        return self._document(name, at, (), self._built_in(), {})

    def part(self, part: Node, *, below: Mapping[str, str]) -> Node:
        """A variant's part over what it includes; `below` are the variables of what it goes over."""
        trail = self._trail_of(part)
        result = self._expanded(part, trail, {**self._built_in(), **below}, {})
        if variants := result.map.get("variants"):
            self.documents.problems.add("a file that a variant includes has none", key="variants", at=variants)
        return result.without("variants")

    def _trail_of(self, part: Node) -> Trail:
        """That of the file which the first include of a variant is written in."""
        origin = part.origin
        return () if origin is None else self._steps_to(origin)

    def _steps_to(self, origin: Origin) -> Trail:
        known = {self.documents.place(name): trail for name, trail in self.trails.items()}
        return known.get(origin.place, (origin.place,))[:-1]

    def _built_in(self) -> dict[str, str]:
        return {} if self.architecture is None else {"architecture": self.architecture}

    def _document(self, name: str, at: Node, trail: Trail, below: Mapping[str, str], above: Mapping[str, str]) -> Node:
        problems = self.documents.problems
        try:
            shown = self.documents.reach.file(name)
        except OutOfReachError as error:
            problems.add(str(error), key="include" if at.origin else "", at=at)
            self.documents.is_complete = False
            return EMPTY
        place = self.documents.place(shown)
        if shown in self.trails:
            problems.add(self._again(place, trail, self.trails[shown]), key="include", at=at)
            self.documents.is_complete = False
            return EMPTY
        self.trails[shown] = (*trail, place)
        document = self._folded(self.documents.document(shown))
        variants = {key: self._folded(part) for key, part in document.map.get("variants", EMPTY).map.items()}
        if variants:
            document = Node({**document.map, "variants": Node(variants)}, document.origin)
        result = self._expanded(document, trail, below, above)
        return result.without(*_OF_THE_OUTERMOST) if trail else result

    @staticmethod
    def _again(place: str, trail: Trail, before: Trail) -> str:
        """What is wrong with a second inclusion, with the chains of both."""
        around = " -> ".join((*trail, place))
        if any(step.rpartition(":")[0] == place for step in trail):
            return f"{place} includes itself: {around}"
        return f"{place} is included twice: {' -> '.join(before)}, and {around}"

    def _folded(self, part: Node) -> Node:
        """A part with what is different for this architecture over it."""
        own = part.map.get("per-architecture", EMPTY).map.get(self.architecture or "", EMPTY)
        return merged(part.without("per-architecture"), own)

    def _expanded(self, part: Node, trail: Trail, below: Mapping[str, str], above: Mapping[str, str]) -> Node:
        lower = EMPTY
        names = [*part.map.get("include", EMPTY).items]
        if self.architecture is not None:
            names += part.map.get("arch-include", EMPTY).map.get(self.architecture, EMPTY).items
        for name in names:
            lower = merged(lower, self._included(name, part, lower, trail, below, above))
        for condition in part.map.get("conditional-include", EMPTY).items:
            known = self._known(part, lower, below, above)
            if self._holds(condition, known):
                for name in condition.map.get("include", EMPTY).items:
                    lower = merged(lower, self._included(name, part, lower, trail, below, above))
        return merged(lower, part.without(*_INCLUDES))

    def _holds(self, condition: Node, known: Mapping[str, str]) -> bool:
        problems = Problems() if self.architecture is None else self.documents.problems
        return "if" in condition.map and holds(condition.map["if"], known, problems, ("conditional-include", "if"))

    def _included(
        self, name: Node, part: Node, lower: Node, trail: Trail, below: Mapping[str, str], above: Mapping[str, str]
    ) -> Node:
        known = self._known(part, lower, below, above)
        problems = self.documents.problems
        text = substituted(name, known, problems, ("include",)).value
        if not isinstance(text, str):
            return EMPTY
        own = self._known(part, EMPTY, {}, above)
        step = (str(name.origin),) if name.origin else ()
        return self._document(text, name, (*trail, *step), below, own)

    def _known(self, part: Node, lower: Node, below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
        """Variables where `part` is: those given, of who includes it, its own, those of what it includes, `below`."""
        both = merged(lower, part)
        built_in = dict(below)
        if isinstance(suite := both.map.get("suite", EMPTY).value, str):
            built_in["suite"] = suite
        own = settled(both.map.get("variables", EMPTY), self.given, built_in, Problems())
        return {**own, **above, **{name: value for name, value in self.given.items() if name in own or name in above}}
