"""A source package on this machine: a .dsc and the files beside it, checked whole before anything is uploaded."""

import hashlib
from pathlib import Path

from deborch_cli.transfer.download import sha256_of
from deborch_cli.transfer.upload import LocalFile
from deborch_shared.contract.builds import SuiteSource
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sources import MAX_DSC_BYTES, SourceFile, parse_dsc

_FETCH_HINT = "fetch the whole source package again, for example with `dget` or `apt-get source --download-only`"


def read_source_package(dsc: Path) -> tuple[LocalFile, list[LocalFile]]:
    """The .dsc and the files that it names, each there and with the promised content.

    Raises:
        DeborchError: NOT_FOUND if there is no such .dsc; INVALID_SOURCE if it is no usable one or a file is
            missing; DIGEST_MISMATCH if a file is not the one that it names; UNSAFE_PATH if a name leads elsewhere.
    """
    text = _read(dsc)
    described = parse_dsc(text, file_name=dsc.name)
    missing = [file.name for file in described.files if not (dsc.parent / file.name).is_file()]
    if missing:
        raise DeborchError(
            ErrorCode.INVALID_SOURCE,
            f"{dsc.name} names {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not beside it"
            f" in {dsc.parent.resolve()}",
            hint=_FETCH_HINT,
            missing=missing,
        )
    files = [_checked(dsc, file) for file in described.files]
    return LocalFile(dsc, described.dsc_name, hashlib.sha256(text).hexdigest(), len(text)), files


def read_suite_source(text: str) -> SuiteSource:
    """`NAME` or `NAME=VERSION`, as for apt.

    Raises:
        DeborchError: INVALID_INPUT if it is neither, nor a .dsc.
    """
    name, equals, version = text.partition("=")
    try:
        return SuiteSource(name=name, version=version if equals else None)
    except ValueError:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"{text!r} is neither a .dsc nor the name of a source package",
            hint="give a path that ends in .dsc, or NAME or NAME=VERSION to fetch from the target's Debian suite",
        ) from None


def _read(dsc: Path) -> bytes:
    try:
        with dsc.open("rb") as file:
            return file.read(MAX_DSC_BYTES + 1)
    except FileNotFoundError:
        raise DeborchError(
            ErrorCode.NOT_FOUND,
            f"there is no file {dsc}",
            hint="give the path of a .dsc, or the name of a source package",
        ) from None
    except OSError as error:
        raise DeborchError(
            ErrorCode.INVALID_INPUT, f"{dsc} cannot be read: {error.strerror}", hint="give a .dsc that you may read"
        ) from None


def _checked(dsc: Path, file: SourceFile) -> LocalFile:
    path = dsc.parent / file.name
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        raise _other(dsc, file, f"is {size_bytes} bytes long, {dsc.name} says {file.size_bytes}")
    if sha256_of(path) != file.sha256:
        raise _other(dsc, file, f"has another SHA-256 than {dsc.name} says")
    return LocalFile(path, file.name, file.sha256, file.size_bytes)


def _other(dsc: Path, file: SourceFile, problem: str) -> DeborchError:
    return DeborchError(
        ErrorCode.DIGEST_MISMATCH,
        f"{dsc.parent / file.name} {problem}",
        hint=f"the file is cut off or was changed: {_FETCH_HINT}",
        file=file.name,
    )
