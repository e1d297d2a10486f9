"""What has to hold between the keys of one resolved treefile."""

import re
from collections.abc import Callable, Iterable, Iterator

from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.documents.positions import KeyPath
from deborch_shared.documents.problems import nearest

Complaint = tuple[KeyPath, str]
"""The key, and what is wrong with it."""
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?([=/][A-Za-z0-9.+:~-]+)?")
_PLAIN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?")
_SUITE = re.compile(r"[a-z0-9][a-z0-9./_+-]*")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_TREEFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""It becomes part of paths: of the compose, its link `latest-NAME`, its images."""
_KEY_ID = re.compile(r"(0x)?[0-9A-Fa-f]{16,40}")
_METADATA_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OWN_METADATA = re.compile(r"version|ostree\..*|deb-bootc-compose\..*")
"""What a commit says of itself, by which others find out what it is."""
_OUTPUT_NAME = re.compile(r"(\$\{version\}|[A-Za-z0-9._+~-])+")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
_LOCALE = re.compile(r"[A-Za-z_]+(\.[A-Za-z0-9-]+)?(@[a-z]+)?")
_DISKS = {OutputKind.RAW, OutputKind.QCOW2, OutputKind.ISO}


def complaints(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    """Everything that is wrong."""
    for rule in _RULES:
        yield from rule(treefile)


def _names(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    yield from _each("packages", treefile.packages, _PACKAGE, "NAME, NAME:ARCHITECTURE, NAME=VERSION or NAME/SUITE")
    yield from _each("exclude-packages", treefile.exclude_packages, _PLAIN_PACKAGE, "the name of a package")
    yield from _each("units", treefile.units, _UNIT, "the name of a systemd unit with its suffix")
    one_each: list[tuple[str, str | None, re.Pattern[str], str]] = [
        ("name", treefile.name, _TREEFILE_NAME, "a name of letters, digits, . _ + and -"),
        ("suite", treefile.suite, _SUITE, "the name of a suite"),
        ("kernel", treefile.kernel, _PLAIN_PACKAGE, "the name of a package"),
        ("ref", treefile.ref, _REF, "an OSTree ref such as debian/trixie/amd64/server"),
        ("output-name", treefile.output_name, _OUTPUT_NAME, "a file name"),
        ("hostname", treefile.hostname, _HOST_NAME, "a host name"),
        ("locale", treefile.locale, _LOCALE, "a locale such as C.UTF-8"),
        ("timezone", treefile.timezone, re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"), "a time zone"),
        ("default-target", treefile.default_target, re.compile(r"[A-Za-z0-9:_.@-]+\.target"), "a systemd target"),
    ]
    for key, value, pattern, expected in one_each:
        if value is not None and not pattern.fullmatch(value):
            yield (key,), f"{expected} is expected (it is {value!r})"


def _each(key: str, values: Iterable[str], pattern: re.Pattern[str], expected: str) -> Iterator[Complaint]:
    for number, value in enumerate(values):
        if not pattern.fullmatch(value):
            yield (key, number), f"{expected} is expected (it is {value!r})"


def _packages(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    wanted = {re.split(r"[=/]", name)[0] for name in (*treefile.packages, treefile.kernel or "")}
    for number, name in enumerate(treefile.exclude_packages):
        if name in wanted:
            yield ("exclude-packages", number), f"{name} is also in packages"
    repositories = [repository.name for repository in treefile.repositories]
    for number, asked in enumerate(treefile.repo_packages):
        if asked.repo not in repositories:
            ending = nearest(asked.repo, repositories or ["none"])
            yield ("repo-packages", number, "repo"), f"there is no repository {asked.repo}{ending}"
    foreign = {*treefile.foreign_architectures, treefile.architecture, "all", "any"}
    for number, name in enumerate(treefile.packages):
        _, colon, architecture = re.split(r"[=/]", name)[0].partition(":")
        if colon and architecture not in foreign:
            yield ("packages", number), f"{architecture} is not in foreign-architectures"


def _kernel(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    if treefile.container:
        if treefile.kernel is not None:
            yield ("kernel",), "a container (container: true) has none"
        for kind in treefile.outputs:
            if kind in _DISKS:
                yield ("outputs",), f"{kind}: a container (container: true) is not booted"
    elif treefile.kernel is None:
        yield ("kernel",), "the package of a kernel is needed, or container: true"


def _outputs(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    if OutputKind.REGISTRY in treefile.outputs and not treefile.registry.url:
        yield ("registry", "url"), "output registry needs it"
    for number, kind in enumerate(treefile.failable):
        if kind not in treefile.outputs:
            yield ("failable", number), f"{kind} is not in outputs"


def _commit(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    key = treefile.ostree.sign
    if key is not None and not _KEY_ID.fullmatch(key):
        yield ("ostree", "sign"), f"the fingerprint of an OpenPGP key is expected (it is {key!r})"
    for name, value in treefile.metadata.items():
        if _OWN_METADATA.fullmatch(name):
            yield ("add-commit-metadata", name), "is said by the compose itself"
        elif not _METADATA_KEY.fullmatch(name) or (isinstance(value, str) and "\0" in value):
            yield ("add-commit-metadata", name), "letters, digits, . _ and - are expected, and text without NUL"


def _once_each(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    named: list[tuple[str, list[str]]] = [
        ("users", [user.name for user in treefile.users]),
        ("groups", [group.name for group in treefile.groups]),
        ("repositories", [repository.name for repository in treefile.repositories]),
    ]
    for key, names in named:
        for number, name in enumerate(names):
            if name in names[:number]:
                yield (key, number, "name"), f"{name} is there twice"


def _accounts(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    seen: dict[int, str] = {}
    for number, user in enumerate(treefile.users):
        if user.uid is not None and seen.setdefault(user.uid, user.name) != user.name:
            yield ("users", number, "uid"), f"{user.uid} is also that of {seen[user.uid]}"
    of_groups: dict[int, str] = {}
    for number, group in enumerate(treefile.groups):
        if group.gid is not None and of_groups.setdefault(group.gid, group.name) != group.name:
            yield ("groups", number, "gid"), f"{group.gid} is also that of {of_groups[group.gid]}"


def _paths(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    for number, path in enumerate(treefile.remove_files):
        if ".." in path.split("/") or not path.strip("/."):
            yield ("remove-files", number), f"a path in the tree is expected (it is {path!r})"
    for number, added in enumerate(treefile.add_files):
        if not added.destination.strip("/.") or added.destination.endswith("/"):
            yield ("add-files", number), f"the destination is to be a file in the tree (it is {added.destination!r})"
    for number, script in enumerate(treefile.postprocess):
        if not script.startswith("#!"):
            yield ("postprocess", number), "a script begins with #! and its interpreter"


def _snapshots(treefile: ResolvedTreefile) -> Iterator[Complaint]:
    addresses = [treefile.mirror or "", *(uri for repository in treefile.repositories for uri in repository.uris)]
    if treefile.snapshot and not any("{snapshot}" in address for address in addresses):
        yield ("snapshot",), "neither mirror nor a repository has {snapshot} in its address"
    for number, repository in enumerate(treefile.repositories):
        if repository.snapshot and not any("{snapshot}" in uri for uri in repository.uris):
            yield ("repositories", number, "snapshot"), "uris have no {snapshot} in them"


_RULES: tuple[Callable[[ResolvedTreefile], Iterator[Complaint]], ...] = (
    _names,
    _packages,
    _kernel,
    _outputs,
    _commit,
    _once_each,
    _accounts,
    _paths,
    _snapshots,
)
