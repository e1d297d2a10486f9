"""The one directory that holds everything of a local stack, and who uses it now."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from deborch_cli.local.files import private_directory
from deborch_shared.errors import DeborchError, ErrorCode


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where each part lives."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def rabbitmq(self) -> Path:
        return self.root / "rabbitmq"

    @property
    def rabbitmq_files(self) -> Path:
        """RabbitMQ's programs, if they are not installed."""
        return self.root / "software/rabbitmq"

    @property
    def auth(self) -> Path:
        return self.root / "auth"

    @property
    def hub(self) -> Path:
        return self.root / "hub"

    @property
    def builder(self) -> Path:
        return self.root / "builder"

    @property
    def composer(self) -> Path:
        return self.root / "composer"

    @property
    def admin_key_shown(self) -> Path:
        """There once the first admin key was printed."""
        return self.root / "admin.key.shown"

    @property
    def admin_key(self) -> Path:
        """The first admin's API key, mode 0600."""
        return self.root / "admin.key"

    @property
    def builder_key(self) -> Path:
        """The builder's API key, mode 0600."""
        return self.root / "builder.key"

    @property
    def enrolment_token(self) -> Path:
        return self.root / "builder.enrolment-token"

    @property
    def composer_key(self) -> Path:
        """The composer's API key, mode 0600."""
        return self.root / "composer.key"

    @property
    def composer_enrolment_token(self) -> Path:
        return self.root / "composer.enrolment-token"

    @property
    def state(self) -> Path:
        """The ports of last time."""
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"

    def instance_lock(self, name: str) -> Path:
        """Held by a running service itself."""
        return self.root / "run" / f"{name}.lock"

    def port_file(self, name: str) -> Path:
        return self.root / "run" / f"{name}.port"


class DirectoryLock:
    """Held by one stack at a time; the kernel lets go of it when that process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> None:
        """Take it.

        Raises:
            DeborchError: CONFLICT naming the process that holds it.
        """
        private_directory(self._path.parent)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise DeborchError(
                ErrorCode.CONFLICT,
                f"a stack already runs in {self._path.parent}: {holder}",
                hint="use that one, stop it with Ctrl-C where it runs, or choose another data directory",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        self._file = file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
