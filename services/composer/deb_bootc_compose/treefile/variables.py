"""`${NAME}` in the texts of a treefile, and the conditions of `conditional-include`."""

import re
from collections.abc import Mapping
from operator import eq, ge, gt, le, lt, ne

from deb_bootc_compose.treefile.nodes import Node
from deb_bootc_compose.treefile.problems import Problems
from deborch_shared.documents.positions import KeyPath
from deborch_shared.documents.problems import nearest

BUILT_IN = ("architecture", "name", "suite", "variant")
_LATE = "version"
"""Known once there is a commit: stays in the keys that are read after it."""
_LATE_KEYS = ("output-name", "oci", "mutate-os-release", "add-commit-metadata")
_REFERENCE = re.compile(r"\$(\$?)\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_CONDITION = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(==|!=|<=|>=|<|>)\s*(\"[^\"]*\"|'[^']*'|[^\s\"']+)\s*")
_COMPARE = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_VERBATIM = "postprocess"


def has_reference(text: str) -> bool:
    """Whether `text` has a `${NAME}` in it."""
    return bool(_REFERENCE.search(text))


def text_of(value: object) -> str:
    """A scalar as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def settled(written: Node, given: Mapping[str, str], built_in: Mapping[str, str], problems: Problems) -> dict[str, str]:
    """Every variable with its value; values may refer to others."""
    raw = {name: text_of(node.value) for name, node in written.map.items()}
    for name in written.map:
        if name in BUILT_IN or name == _LATE or not _NAME.fullmatch(name):
            reason = "is always there and cannot be set" if _NAME.fullmatch(name) else "is no name for a variable"
            problems.add(reason, key=("variables", name), at=written.map[name])
    raw |= {name: value for name, value in given.items() if name in raw}
    result = dict(built_in)
    for name in raw:
        node = written.map.get(name)
        result[name] = _value(name, raw, built_in, (), problems, node)
    return result


def check_given(given: Mapping[str, str], declared: set[str], problems: Problems) -> None:
    """A variable of the command line that no part of the treefile has is a slip of the pen."""
    for name in sorted(given.keys() - declared):
        known = nearest(name, sorted(declared) or ["none"])
        problems.add(f"--variable {name}: the treefile has no such variable{known}")


def _value(
    name: str,
    raw: Mapping[str, str],
    built_in: Mapping[str, str],
    trail: tuple[str, ...],
    problems: Problems,
    at: Node | None,
) -> str:
    if name in built_in:
        return built_in[name]
    if name in trail:
        around = " -> ".join((*trail[trail.index(name) :], name))
        problems.add(f"refers to itself: {around}", key=("variables", trail[0]), at=at)
        return ""
    if name not in raw:
        known = sorted({*raw, *built_in})
        problems.add(f"there is no variable {name}{nearest(name, known)}", key=("variables", trail[0]), at=at)
        return ""

    def inner(match: re.Match[str]) -> str:
        return match[0][1:] if match[1] else _value(match[2], raw, built_in, (*trail, name), problems, at)

    return _REFERENCE.sub(inner, raw[name])


def substituted(node: Node, variables: Mapping[str, str], problems: Problems, path: KeyPath = ()) -> Node:
    """`node` with values in place of `${NAME}`; `$${NAME}` becomes the text `${NAME}`."""
    if isinstance(node.value, dict):
        inner = {key: substituted(value, variables, problems, (*path, key)) for key, value in node.value.items()}
        return Node(inner, node.origin)
    if path[:1] == (_VERBATIM,):
        return node
    if isinstance(node.value, list):
        items = [substituted(value, variables, problems, (*path, number)) for number, value in enumerate(node.value)]
        return Node(items, node.origin)
    if not isinstance(node.value, str) or "${" not in node.value:
        return node

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        if match[2] == _LATE and _is_late(path):
            return match[0]
        if match[2] in variables:
            return variables[match[2]]
        why = "is known only once there is a commit" if match[2] == _LATE else "is not set"
        end = "" if match[2] == _LATE else nearest(match[2], sorted(variables))
        problems.add(f"variable {match[2]} {why}{end}", key=path, at=node)
        return match[0]

    return Node(_REFERENCE.sub(put, node.value), node.origin)


def _is_late(path: KeyPath) -> bool:
    first = str(path[0])
    return first in _LATE_KEYS or first.startswith("x-")


def holds(condition: Node, variables: Mapping[str, str], problems: Problems, path: KeyPath) -> bool:
    """Whether all of one `if` is so."""
    return all(_one_holds(item, variables, problems, path) for item in condition.items)


def _one_holds(condition: Node, variables: Mapping[str, str], problems: Problems, path: KeyPath) -> bool:
    match = _CONDITION.fullmatch(str(condition.value))
    if match is None:
        problems.add(f"{condition.value!r}: VARIABLE == VALUE is expected", key=path, at=condition)
        return False
    name, operator, literal = match.groups()
    if name not in variables:
        problems.add(f"there is no variable {name}{nearest(name, sorted(variables))}", key=path, at=condition)
        return False
    left, right = variables[name], literal.strip("\"'")
    try:
        return bool(_COMPARE[operator](float(left), float(right)))
    except ValueError:
        if operator in ("==", "!="):
            return bool(_COMPARE[operator](left, right))
    problems.add(f"{operator} is for numbers, and {left!r} {operator} {right!r} has others", key=path, at=condition)
    return False
