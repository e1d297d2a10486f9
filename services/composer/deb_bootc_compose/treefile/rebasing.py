"""Names of files in a document, made relative to the directory of the outermost treefile."""

from collections.abc import Callable, Iterator
from functools import partial

from deb_bootc_compose.treefile.nodes import Node
from deb_bootc_compose.treefile.reach import beside

Step = str | int
ANY = "*"
SOURCES_TEXT, SOURCES_PLACE = "sources-text", "sources-place"
"""Keys of what stands for a text until it is read; `checking` has let nobody write them."""
INCLUDES: tuple[tuple[Step, ...], ...] = (("include",), ("arch-include", ANY), ("conditional-include", ANY, "include"))
KEYRINGS: tuple[tuple[Step, ...], ...] = (("keyrings", ANY), ("repositories", ANY, "signed-by"))
CONTENT: tuple[tuple[Step, ...], ...] = (
    ("postprocess-script",),
    ("add-files", ANY, "source"),
    ("add-files", ANY, 0),
    ("check-passwd", "filename"),
    ("check-groups", "filename"),
    ("sources", ANY, "source"),
    ("repositories", ANY),
)
OF_THE_HOST: tuple[tuple[Step, ...], ...] = (("oci", "sign"), ("registry", "credentials"), ("ostree", "repo"))
"""Where things are on this machine, wherever that is; they decide nothing of what is made."""


def rebased(part: Node, document: str) -> Node:
    """A document, its variants and its parts, with each `include` a list."""
    for key in ("variants", "per-architecture"):
        if key in part.map:
            inner = {name: rebased(node, document) for name, node in part.map[key].map.items()}
            part = Node({**part.map, key: Node(inner, part.map[key].origin)}, part.origin)
    for steps in INCLUDES:
        part = mapped(part, steps, lambda node: Node(node.items, node.origin))
        part = mapped(part, (*steps, ANY), lambda node: _beside(node, document))
    part = mapped(part, ("repositories", ANY), partial(_with_place, document=document))
    for steps in (*KEYRINGS, *CONTENT, *OF_THE_HOST):
        part = mapped(part, steps, partial(_named, steps=steps, document=document))
    return part


def _with_place(repository: Node, document: str) -> Node:
    """A text in the format of `.sources`, with where it stands: the names of keys in it are relative to that."""
    if not isinstance(repository.value, str) or "\n" not in repository.value:
        return repository
    return Node({SOURCES_TEXT: repository, SOURCES_PLACE: Node(document)}, repository.origin)


def is_file_name(node: Node, steps: tuple[Step, ...]) -> bool:
    """Whether a text in the place of a file is one: not a key, a .sources text or the name of a source package."""
    text = node.value
    if not isinstance(text, str) or "\n" in text or "BEGIN PGP" in text:
        return False
    return steps[0] != "sources" or text.endswith(".dsc")


def _named(node: Node, *, steps: tuple[Step, ...], document: str) -> Node:
    return _beside(node, document) if is_file_name(node, steps) else node


def _beside(node: Node, document: str) -> Node:
    return Node(beside(document, node.value), node.origin) if isinstance(node.value, str) else node


def mapped(node: Node, steps: tuple[Step, ...], change: Callable[[Node], Node]) -> Node:
    """`node` with what is at `steps` changed."""
    if not steps:
        return change(node)
    first, *rest = steps
    if first == ANY and isinstance(node.value, list):
        return Node([mapped(item, tuple(rest), change) for item in node.value], node.origin)
    if first == ANY and isinstance(node.value, dict):
        inner = {key: mapped(item, tuple(rest), change) for key, item in node.value.items()}
        return Node(inner, node.origin)
    if isinstance(first, int) and isinstance(node.value, list) and first < len(node.value):
        items = [mapped(x, tuple(rest), change) if n == first else x for n, x in enumerate(node.value)]
        return Node(items, node.origin)
    if isinstance(first, str) and first in node.map:
        return Node({**node.map, first: mapped(node.map[first], tuple(rest), change)}, node.origin)
    return node


def found(node: Node, steps: tuple[Step, ...]) -> Iterator[Node]:
    """What is at `steps`."""
    result: list[Node] = []

    def note(one: Node) -> Node:
        result.append(one)
        return one

    mapped(node, steps, note)
    return iter(result)
