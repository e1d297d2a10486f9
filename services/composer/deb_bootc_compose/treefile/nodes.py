"""Values that carry where they were written, and how one treefile goes over another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deborch_shared.documents.positions import Document, KeyPath, Origin, dotted

REPLACE = "replace"
WHOLE = {("architectures",), ("inherits",), ("oci", "cmd"), ("container-cmd",)}
"""Lists that mean something only as a whole."""
_NESTS = ("variants", "per-architecture")


@dataclass(frozen=True, slots=True)
class WrittenAt(Origin):
    """The origin of a value, with the key that it has where it was written."""

    path: KeyPath = ()

    def __str__(self) -> str:
        return Origin.__str__(self)


@dataclass(frozen=True, slots=True)
class Node:
    """A map or a list of nodes, or a scalar. Never changed once made."""

    value: Any
    origin: Origin | None = None

    @property
    def map(self) -> dict[str, "Node"]:
        """Empty if it is none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list["Node"]:
        """Of a list; a scalar is a list of itself, nothing is an empty one."""
        if isinstance(self.value, list):
            return self.value
        return [] if self.value is None or isinstance(self.value, dict) else [self]

    def plain(self) -> Any:  # noqa: ANN401 - whatever was written
        """Without origins."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def without(self, *keys: str) -> "Node":
        """A map that lacks `keys`."""
        return Node({key: node for key, node in self.map.items() if key not in keys}, self.origin)


EMPTY = Node({})


def node_of(document: Document) -> Node:
    """Values and origins of `document` in one."""
    return _node(document.values, (), document.origins)


def _node(value: Any, path: KeyPath, origins: Mapping[KeyPath, Origin]) -> Node:  # noqa: ANN401
    if isinstance(value, dict):
        value = {key: _node(inner, (*path, key), origins) for key, inner in value.items()}
    elif isinstance(value, list):
        value = [_node(inner, (*path, number), origins) for number, inner in enumerate(value)]
    origin = origins.get(path)
    return Node(value, origin and WrittenAt(origin.place, origin.line, path))


def document_of(node: Node) -> Document:
    """`node` apart again."""
    origins = {path: found.origin for path, found in walk(node) if path and found.origin is not None}
    return Document(node.plain(), origins)


def key_as_written(path: KeyPath, document: Document) -> str:
    """The key that what is now at `path` has in the file that it comes from."""
    for length in range(len(path), 0, -1):
        origin = document.origins.get(path[:length])
        if isinstance(origin, WrittenAt):
            return dotted((*origin.path, *path[length:]))
    return dotted(path)


def walk(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """`node` and all in it."""
    yield path, node
    if isinstance(node.value, dict):
        for key, inner in node.value.items():
            yield from walk(inner, (*path, key))
    elif isinstance(node.value, list):
        for number, inner in enumerate(node.value):
            yield from walk(inner, (*path, number))


def merged(lower: Node, upper: Node) -> Node:
    """`upper` over `lower`, both maps: scalars replace, lists are added, maps merge.

    In a list an entry with the same `name` as one below takes its place. What `replace` of `upper` names is
    forgotten first. Associative: files may be put together in any grouping, only their order counts.
    """
    return _merged(lower, upper, ())


def _merged(lower: Node, upper: Node, path: KeyPath) -> Node:
    replaced = {tuple(str(item.value).split(".")) for item in upper.map.get(REPLACE, EMPTY).items}
    if replaced and _starts_part(path):
        lower = _without_paths(lower, replaced)
    result = dict(lower.map)
    for key, node in upper.map.items():
        below = result.get(key)
        here = _within_part((*path, key))
        if below is None or here in WHOLE:
            result[key] = node
        elif isinstance(below.value, dict) and isinstance(node.value, dict):
            result[key] = _merged(below, node, (*path, key))
        elif isinstance(below.value, list) and isinstance(node.value, list):
            result[key] = Node(_added(below.value, node.value), node.origin)
        else:
            result[key] = node
    return Node(result, upper.origin or lower.origin)


def _starts_part(path: KeyPath) -> bool:
    return not _within_part(path)


def _within_part(path: KeyPath) -> KeyPath:
    """`path` seen from the variant or the architecture's part that it is in."""
    while len(path) >= 2 and path[0] in _NESTS:
        path = path[2:]
    return path


def _without_paths(node: Node, paths: set[tuple[str, ...]]) -> Node:
    for first, *rest in paths:
        if rest and first in node.map:
            inner = _without_paths(node.map[first], {tuple(rest)})
            node = Node({**node.map, first: inner}, node.origin)
        else:
            node = node.without(first)
    return node


def _added(lower: list[Node], upper: list[Node]) -> list[Node]:
    result = list(lower)
    places = {_name(node): number for number, node in enumerate(result)}
    for node in upper:
        name = _name(node)
        if name is not None and name in places:
            result[places[name]] = node
        else:
            places[name] = len(result)
            result.append(node)
    return result


def _name(node: Node) -> str | None:
    """Of a map that has one."""
    name = node.map.get("name")
    return str(name.value) if name is not None and isinstance(name.value, str) else None
