"""What the treefile has programs of the tree do: locales, alternatives, units, scripts."""

from deb_bootc_compose.ostree.beside import content_of
from deb_bootc_compose.ostree.identity import locale_to_generate
from deb_bootc_compose.ostree.room import TreeRoom
from deb_bootc_compose.ostree.tree import Tree, tree_failure
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

_SCRIPTS = "/run/postprocess"
_UNITS = ("/usr/lib/systemd/system", "/etc/systemd/system")


def prepare_changes(tree: Tree, treefile: ResolvedTreefile) -> None:
    """Check what `run_changes` needs, and lay out what it runs: the tree may not be written to while it is a root.

    Raises:
        DeborchError: CHECK_FAILED of class TREE.
    """
    line = locale_to_generate(tree, treefile.locale)
    if line is not None:
        tree.write("/etc/locale.gen", line)
    if treefile.units and not tree.exists("/usr/bin/systemctl"):
        raise tree_failure("`units` names units, and there is no systemd in the tree", hint="add the package systemd")
    for name in treefile.alternatives:
        if not tree.exists(f"/var/lib/dpkg/alternatives/{name}"):
            raise tree_failure(
                f"there is no alternative {name} in the tree", hint="see update-alternatives(1) for names"
            )
    _set_default_target(tree, treefile.default_target)
    tree.make_directory(_SCRIPTS)
    for number, script in enumerate(scripts(treefile)):
        tree.write(f"{_SCRIPTS}/{number}", script[1], 0o755)


def scripts(treefile: ResolvedTreefile) -> list[tuple[str, bytes]]:
    """How each is called in messages, and its text."""
    found = [(f"postprocess script {number}", text.encode()) for number, text in enumerate(treefile.postprocess, 1)]
    if treefile.postprocess_script is not None:
        name = treefile.postprocess_script
        found.append((f"postprocess-script {name}", content_of(treefile, name)))
    return found


def needs_room(treefile: ResolvedTreefile, tree: Tree) -> bool:
    """Whether `run_changes` has anything to run."""
    changes = treefile.units or treefile.alternatives or treefile.postprocess or treefile.postprocess_script
    return bool(changes) or locale_to_generate(tree, treefile.locale) is not None


async def run_changes(tree: Tree, treefile: ResolvedTreefile, room: TreeRoom) -> None:
    """All of it, in the order of the treefile's documentation; the scripts last.

    Raises:
        DeborchError: PROCESS_FAILED of class TREE.
    """
    if locale_to_generate(tree, treefile.locale) is not None:
        await room.run(f"making the locale {treefile.locale}", ["locale-gen"])
    for name, path in treefile.alternatives.items():
        await room.run(f"choosing {path} for {name}", ["update-alternatives", "--set", name, path])
    if treefile.units:
        await room.run("enabling units", ["systemctl", "enable", "--", *treefile.units])
    for number, (what, text) in enumerate(scripts(treefile)):
        path = f"{_SCRIPTS}/{number}"
        await room.run(what, [path] if text.startswith(b"#!") else ["/bin/sh", "-e", path])


def _set_default_target(tree: Tree, target: str | None) -> None:
    if target is None:
        return
    found = next(
        (f"{place}/{target}" for place in _UNITS if "/" not in target and tree.exists(f"{place}/{target}")), None
    )
    if found is None:
        raise tree_failure(f"default-target {target} is not in the tree", hint="name a target unit of its packages")
    tree.link("/etc/systemd/system/default.target", found)
