"""What a check says, what it is about, and how it tries things."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deb_mock.engine_config import EngineConfig
from deborch_shared.errors import DeborchError, bounded


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Builds work, but not everything does, or not as fast."""
    PROBLEM = "problem"
    """Builds do not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    name: str
    status: Status
    found: str
    fix: str = ""
    """What to do; empty if there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the doctor looks at: this host, with these settings."""

    config: EngineConfig
    suite: str
    """That builds are for; empty if neither the configuration nor the host says."""
    refusal: DeborchError | None = None
    """Set if this process is not root, and could not become root of a namespace of its own."""


Check = Callable[[Subject], Finding]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a trial went."""

    succeeded: bool
    said: str


def tried(action: Callable[[], str]) -> Trial:
    """Run `action` in a process of its own, with which everything that it mounts or unshares ends."""
    said_read, said_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(said_read)
        code = 1
        try:
            said = action()
            code = 0
        except BaseException as error:
            said = str(error) or type(error).__name__
        with suppress(OSError):
            os.write(said_write, bounded(said).encode())
        os._exit(code)
    os.close(said_write)
    with os.fdopen(said_read, "rb") as answers:
        said = answers.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return Trial(status == 0, said)


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A directory below `parent`, or below the nearest directory that exists, on the file system that it will be on."""
    while not parent.is_dir():
        parent = parent.parent
    with tempfile.TemporaryDirectory(prefix=".deb-mock-doctor-", dir=parent) as name:
        yield Path(name)
