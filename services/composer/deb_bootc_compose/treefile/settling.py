"""From merged parts to plain contents: other spellings, files, repositories in texts, packages one by one."""

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from deb_bootc_compose.treefile.checking import CUSTOM, PACKAGES_OF
from deb_bootc_compose.treefile.nodes import REPLACE, Node, merged
from deb_bootc_compose.treefile.problems import Problems
from deb_bootc_compose.treefile.reach import KEYRING_DIRECTORIES, OutOfReachError, Reach, beside
from deb_bootc_compose.treefile.rebasing import (
    ANY,
    CONTENT,
    KEYRINGS,
    SOURCES_PLACE,
    SOURCES_TEXT,
    Step,
    is_file_name,
    mapped,
)
from deb_bootc_compose.treefile.sources_text import SourcesTextError, repositories_of
from deborch_shared.documents.positions import dotted

EXTERNAL = "metadata"
_ALIASES = (("gpg-key", "ostree", "sign"), ("container-cmd", "oci", "cmd"))
_SETS = ("packages", "exclude-packages", "units", "outputs", "failable", "foreign-architectures", "components", "kargs")
"""Lists in which nothing has to be twice."""
_IMPLIED = {"registry": "ociarchive", "qcow2": "raw"}


def settled_contents(node: Node, architecture: str, reach: Reach, problems: Problems) -> Node:
    """What `ResolvedTreefile` has of contents; variables are in place."""
    node = _with_packages_of(node, architecture)
    node = mapped(node, ("packages",), _split)
    node = mapped(node, ("exclude-packages",), _split)
    for key, section, name in _ALIASES:
        if key in node.map:
            lower = Node({section: Node({name: node.map[key]}, node.map[key].origin)})
            node = merged(lower, node.without(key))
    node = _with_files(node, CONTENT, reach, problems)
    node = mapped(node, ("repositories",), lambda listed: _repositories(listed, reach, problems))
    node = _with_files(node, KEYRINGS, reach, problems)
    for key in _SETS:
        node = mapped(node, (key,), _once)
    return mapped(node.without(REPLACE), ("outputs",), _with_implied)


def customs(node: Node) -> tuple[Node, dict[str, object]]:
    """`node` without what is only kept and exported, and that."""
    kept = {key: inner.plain() for key, inner in node.map.items() if key.startswith(CUSTOM) or key == EXTERNAL}
    return node.without(*kept), kept


def _with_packages_of(node: Node, architecture: str) -> Node:
    of_others = [key for key in node.map if key.startswith(PACKAGES_OF)]
    own = node.map.get(f"{PACKAGES_OF}{architecture}")
    node = node.without(*of_others)
    return node if own is None else merged(node, Node({"packages": own}, node.origin))


def _split(listed: Node) -> Node:
    """`- foo bar` is two packages."""
    names = [Node(name, item.origin) for item in listed.items for name in str(item.value).split()]
    return Node(names, listed.origin)


def _once(listed: Node) -> Node:
    return Node(list({str(item.value): item for item in reversed(listed.items)}.values())[::-1], listed.origin)


def _with_implied(outputs: Node) -> Node:
    there = [str(item.value) for item in outputs.items]
    implied = [Node(_IMPLIED[kind], outputs.origin) for kind in there if _IMPLIED.get(kind, kind) not in there]
    return Node([*implied, *outputs.items], outputs.origin)


def _with_files(node: Node, places: tuple[tuple[Step, ...], ...], reach: Reach, problems: Problems) -> Node:
    for steps in places:
        node = mapped(node, steps, partial(_checked, steps=steps, reach=reach, problems=problems))
    return node


def _checked(one: Node, *, steps: tuple[Step, ...], reach: Reach, problems: Problems) -> Node:
    """The name of a file as `reach` gives it out."""
    if not is_file_name(one, steps):
        return one
    try:
        return Node(reach.file(one.value, beside=KEYRING_DIRECTORIES if steps in KEYRINGS else ()), one.origin)
    except OutOfReachError as error:
        problems.add(str(error), key=dotted(tuple(step for step in steps if step != ANY)), at=one)
        return one


def _repositories(listed: Node, reach: Reach, problems: Problems) -> Node:
    return Node([one for item in listed.items for one in _repository(item, reach, problems)], listed.origin)


def _repository(item: Node, reach: Reach, problems: Problems) -> Iterator[Node]:
    written = item.map.get(SOURCES_TEXT)
    if written is None and not isinstance(item.value, str):
        yield item
        return
    place = str(item.map[SOURCES_PLACE].value) if written else str(item.value)
    name = "repository" if written else PurePosixPath(place).stem
    try:
        text = str(written.value) if written else reach.path(place).read_text(encoding="utf-8")
        for repository in repositories_of(text, name, item):
            yield mapped(repository, ("signed-by",), lambda key: _key_beside(place, key))
    except (SourcesTextError, UnicodeDecodeError) as error:
        problems.add(f"{name}: {error}", key="repositories", at=item)
    except OSError:
        return  # told already, by `_with_files`


def _key_beside(place: str, key: Node) -> Node:
    return Node(beside(place, key.value), key.origin) if is_file_name(key, ("signed-by",)) else key
