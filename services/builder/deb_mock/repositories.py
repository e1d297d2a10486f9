"""Extra repositories: checked, shown in a sandbox, and made known to its apt."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.failures import FailureClass, failure
from deb_mock.model import ExtraRepository
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.spec import Bind

WORKSPACE = "/build"
_REPOSITORY_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}\Z")


def file_repositories(repositories: Sequence[ExtraRepository]) -> Iterator[Bind]:
    """The directories of `file:` URIs, to be shown at the same place inside."""
    for repository in repositories:
        check_repository(repository)
        for uri in str(Deb822(repository.deb822.splitlines()).get("URIs", "")).split():
            if uri.startswith("file:"):
                path = "/" + uri.removeprefix("file:").strip("/")
                yield Bind(Path(path), path)


def check_repository(repository: ExtraRepository) -> None:
    """Refuse names that could leave a directory, and text that is not one stanza."""
    fields = Deb822(repository.deb822.splitlines())
    if _REPOSITORY_NAME.match(repository.name) is None or not fields.get("URIs") or not fields.get("Suites"):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"the extra repository {repository.name!r} is not usable",
            hint="give a plain name and one deb822 stanza with Types, URIs, Suites and Signed-By",
        )


async def add_repository(sandbox: Sandbox, repository: ExtraRepository) -> str:
    """Make `repository` known to apt in `sandbox`, without reading it yet; the path of its file inside."""
    name = f"deborch-{repository.name}.sources"
    put_file(sandbox, name, repository.deb822.encode())
    target = f"/etc/apt/sources.list.d/{name}"
    await sandbox.run(["install", "-m", "0644", f"{WORKSPACE}/{name}", target])
    return target


def put_file(sandbox: Sandbox, name: str, content: bytes) -> None:
    """Write a file into the workspace."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=sandbox.workspace_fd), "wb") as target:
        target.write(content)
