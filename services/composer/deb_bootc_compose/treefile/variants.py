"""Which variants there are, and what each is put together from."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence

from deb_bootc_compose.treefile.nodes import EMPTY, Node
from deb_bootc_compose.treefile.problems import Problems
from deborch_shared.documents.problems import nearest

OWN_KEYS = ("inherits", "abstract", "architectures")
"""What is said of a variant, and not handed on."""


def is_pattern(name: str) -> bool:
    """Whether `name` stands for all variants that match it."""
    return any(sign in name for sign in "*?[")


def matches(name: str, pattern: str) -> bool:
    """As a shell matches."""
    return fnmatch.fnmatchcase(name, pattern)


def names(variants: Node) -> list[str]:
    """All that are no patterns."""
    return [name for name in variants.map if not is_pattern(name)]


def composed(variants: Node) -> list[str]:
    """Those that are not only there to be inherited."""
    return [name for name in names(variants) if variants.map[name].map.get("abstract", EMPTY).value is not True]


def layers(variants: Node, name: str) -> list[str]:
    """Keys of `variants` that make up variant `name`, the lowest first; each once.

    First what it inherits, in the order written, then patterns that match it, then its own part.
    `check` has found no problems.
    """
    result: list[str] = []
    _add_layers(variants, name, result)
    return result


def _add_layers(variants: Node, name: str, result: list[str]) -> None:
    for parent in _parents(variants, name):
        _add_layers(variants, parent, result)
    for key in (*_patterns_of(variants, name), name):
        if key not in result:
            result.append(key)


def _patterns_of(variants: Node, name: str) -> list[str]:
    return [pattern for pattern in variants.map if is_pattern(pattern) and matches(name, pattern)]


def _parents(variants: Node, name: str) -> list[str]:
    """What patterns that match it inherit, then what itself does."""
    keys = (*_patterns_of(variants, name), name)
    found = (str(item.value) for key in keys for item in variants.map[key].map.get("inherits", EMPTY).items)
    return [parent for parent in dict.fromkeys(found) if parent != name and parent in variants.map]


def check_architectures(variants: Node, of_treefile: Sequence[str], problems: Problems) -> None:
    """A variant may only be for architectures that the treefile is for."""
    for name, part in variants.map.items():
        for item in part.map.get("architectures", EMPTY).items:
            if item.value not in of_treefile:
                message = f"the treefile is not for {item.value}{nearest(str(item.value), list(of_treefile))}"
                problems.add(message, key=("variants", name, "architectures"), at=item)


def check(variants: Node, problems: Problems) -> bool:
    """Find patterns that match nothing, parents that are not there, and circles."""
    before = len(problems.found)
    known = names(variants)
    for key, part in variants.map.items():
        if is_pattern(key) and not any(matches(name, key) for name in known):
            there = f"; there are {', '.join(known)}" if known else "; there are none"
            problems.add(f"matches no variant{there}", key=("variants", key), at=part)
        if is_pattern(key) and "abstract" in part.map:
            message = "a pattern is no variant; say it of each that it matches"
            problems.add(message, key=("variants", key, "abstract"), at=part.map["abstract"])
        for parent in part.map.get("inherits", EMPTY).items:
            if str(parent.value) not in known:
                message = f"there is no variant {parent.value}{nearest(str(parent.value), known or ['none'])}"
                problems.add(message, key=("variants", key, "inherits"), at=parent)
            elif parent.value == key:
                problems.add(f"{key} inherits itself", key=("variants", key, "inherits"), at=parent)
    _check_circles(variants, problems)
    return len(problems.found) == before


def _check_circles(variants: Node, problems: Problems) -> None:
    done: set[str] = set()

    def visit(name: str, trail: Sequence[str]) -> None:
        if name in trail:
            around = " -> ".join((*trail[trail.index(name) :], name))
            at = variants.map[name].map.get("inherits", variants.map[name])
            problems.add(f"variants inherit in a circle: {around}", key=("variants", name, "inherits"), at=at)
        elif name not in done:
            for parent in _parents(variants, name):
                visit(parent, (*trail, name))
            done.add(name)

    for name in names(variants):
        visit(name, ())


def chosen(asked: Iterable[str], there: Sequence[str], problems: Problems, *, what: str) -> list[str]:
    """Those of `there` that match one of `asked` (none: all), in their order."""
    patterns = list(asked)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in there):
            problems.add(f"{what} {pattern}: there is none{nearest(pattern, list(there))}")
    return [name for name in there if not patterns or any(matches(name, pattern) for pattern in patterns)]


def architectures(variants: Node, name: str, of_treefile: Sequence[str]) -> list[str]:
    """Those of the treefile that a variant is for; a variant that says nothing has those of its patterns."""
    if name not in variants.map:
        return list(of_treefile)
    for key in (name, *reversed(_patterns_of(variants, name))):
        own = [str(item.value) for item in variants.map[key].map.get("architectures", EMPTY).items]
        if own:
            return [architecture for architecture in of_treefile if architecture in own]
    return list(of_treefile)


def parts(variants: Node, name: str) -> Mapping[str, Node]:
    """The layers of `name` with their content."""
    if name not in variants.map:
        return {}
    return {key: variants.map[key] for key in layers(variants, name)}
