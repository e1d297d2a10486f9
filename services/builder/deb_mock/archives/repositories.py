"""Extra repositories: checked, shown in a sandbox, and made known to its apt."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.failures import FailureClass, failure
from deb_mock.model import ExtraRepository
from deborch_shared.apt.redaction import has_credentials
from deborch_shared.errors import ErrorCode, bounded
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.spec import Bind

WORKSPACE = "/build"
_WINS_ALWAYS = 1001
"""A priority above 1000 wins even if that is a downgrade."""
_REPOSITORY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}\Z")


def file_repositories(repositories: Sequence[ExtraRepository]) -> Iterator[Bind]:
    """The directories of `file:` URIs, to be shown at the same place inside."""
    for repository in repositories:
        for uri in repository_uris(repository):
            if uri.startswith("file:"):
                path = "/" + uri.removeprefix("file:").strip("/")
                yield Bind(Path(path), path)


def repository_uris(repository: ExtraRepository) -> list[str]:
    """The addresses of a repository whose name cannot leave a directory and whose text is one stanza.

    Raises:
        DeborchError: INVALID_INPUT for any other.
    """
    stanzas = list(Deb822.iter_paragraphs(repository.deb822.splitlines(), use_apt_pkg=False))
    uris = str(stanzas[0].get("URIs", "")).split() if len(stanzas) == 1 else []
    if _REPOSITORY_NAME.match(repository.name) is None or not uris or not stanzas[0].get("Suites"):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"the extra repository {bounded(repository.name, 80)!r} is not usable",
            hint="give a plain name and one deb822 stanza with Types, URIs, Suites and Signed-By",
        )
    return uris


def check_repositories(repositories: Iterable[ExtraRepository]) -> None:
    """Refuse, before anything is done, what `repository_uris` would refuse."""
    for repository in repositories:
        repository_uris(repository)


async def add_repositories(sandbox: Sandbox, repositories: Iterable[ExtraRepository]) -> None:
    """Make each of them known to apt in `sandbox`, without reading it yet."""
    for repository in repositories:
        await add_repository(sandbox, repository)


async def add_repository(sandbox: Sandbox, repository: ExtraRepository) -> str:
    """Make `repository` known to apt in `sandbox`; the path of its file inside."""
    name = f"deborch-{repository.name}"
    if repository.pin:
        preferences = f"Package: *\nPin: {repository.pin}\nPin-Priority: {_WINS_ALWAYS}\n"
        await _install(sandbox, f"{name}.pref", preferences, f"/etc/apt/preferences.d/{name}.pref")
    target = f"/etc/apt/sources.list.d/{name}.sources"
    await _install(sandbox, f"{name}.sources", repository.deb822, target)
    return target


async def _install(sandbox: Sandbox, name: str, text: str, target: str) -> None:
    """Readable by root alone if it has a password of an archive: builds are not root."""
    put_file(sandbox, name, text.encode())
    mode = "0600" if has_credentials(text) else "0644"
    await sandbox.run(["install", "-m", mode, f"{sandbox.workspace}/{name}", target])
    os.unlink(name, dir_fd=sandbox.workspace_fd)


def put_file(sandbox: Sandbox, name: str, content: bytes) -> None:
    """Write a file into the workspace."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=sandbox.workspace_fd), "wb") as target:
        target.write(content)
