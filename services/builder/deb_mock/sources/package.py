"""A source package on disk: checked against its .dsc, then copied so that what was checked is what gets built."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from deb_mock.failures import FailureClass, failure, failures_are
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.source_signatures import check_source_signature
from deborch_shared.sources import MAX_DSC_BYTES, SourceDescription, SourceFile, check_file_name, parse_dsc

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """A .dsc and where its files are."""

    dsc: Path
    text: bytes
    description: SourceDescription
    directory: Path

    @classmethod
    async def read(
        cls,
        dsc: Path,
        *,
        directory: Path | None = None,
        keyring: Path | None = None,
        on_bad_signature: Callable[[DeborchError], None] | None = None,
    ) -> Self:
        """Parse `dsc` and verify size and SHA-256 of every file that it names, in `directory` or beside it.

        With `keyring` the .dsc must carry a good signature by a key in it; with `on_bad_signature` that is told if
        it does not, and reading goes on.

        Raises:
            DeborchError: INVALID_SOURCE, UNSAFE_PATH, DIGEST_MISMATCH or INVALID_SIGNATURE, each naming the file.
        """
        with failures_are(FailureClass.POLICY):
            check_file_name(dsc.name, "the request")
            text = await asyncio.to_thread(_read_dsc, dsc)
            package = cls(dsc, text, parse_dsc(text, file_name=dsc.name), directory or dsc.parent)
            if keyring is not None:
                try:
                    await check_source_signature(text, keyring, file_name=dsc.name)
                except DeborchError as error:
                    if on_bad_signature is None:
                        raise
                    on_bad_signature(error)
            await asyncio.to_thread(package._verify_files)
            return package

    def copy_into(self, directory_fd: int, owner: int) -> None:
        """Write the .dsc and its files into a directory, hashing what is written.

        Raises:
            DeborchError: as `read` does, if a file changed since.
        """
        with failures_are(FailureClass.POLICY):
            for file in self.description.files:
                with _new_file(directory_fd, file.name, owner) as target:
                    self._check(file, target)
            with _new_file(directory_fd, self.dsc.name, owner) as target:
                target.write(self.text)

    def _verify_files(self) -> None:
        for file in self.description.files:
            self._check(file, None)

    def _check(self, file: SourceFile, target: BinaryIO | None) -> None:
        with self._open(file) as source:
            size_bytes = os.fstat(source.fileno()).st_size
            if size_bytes != file.size_bytes:
                raise _wrong(file, f"is {size_bytes} bytes, and {self.dsc.name} says {file.size_bytes}")
            digest = hashlib.sha256()
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                if target is not None:
                    target.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise _wrong(file, f"has SHA-256 {digest.hexdigest()}, and {self.dsc.name} says {file.sha256}")

    def _open(self, file: SourceFile) -> BinaryIO:
        try:
            return (self.directory / file.name).open("rb")
        except FileNotFoundError:
            raise DeborchError(
                ErrorCode.INVALID_SOURCE,
                f"{file.name}, which {self.dsc.name} lists, is missing in {self.directory}",
                hint="put every file that the .dsc lists beside it (dget fetches them all)",
                file=file.name,
            ) from None


def _read_dsc(path: Path) -> bytes:
    try:
        with path.open("rb") as source:
            return source.read(MAX_DSC_BYTES + 1)
    except OSError as error:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE,
            f"{path} cannot be read: {error.strerror}",
            hint="give the path of a .dsc file",
        ) from error


def _wrong(file: SourceFile, how: str) -> DeborchError:
    return failure(
        FailureClass.POLICY,
        ErrorCode.DIGEST_MISMATCH,
        f"{file.name} {how}",
        hint="fetch the file again; if it was changed on purpose, make a new .dsc with dpkg-source -b",
        file=file.name,
    )


@contextmanager
def _new_file(directory_fd: int, name: str, owner: int) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o644, dir_fd=directory_fd)
    with os.fdopen(descriptor, "wb") as target:
        os.fchown(target.fileno(), owner, owner)
        yield target
