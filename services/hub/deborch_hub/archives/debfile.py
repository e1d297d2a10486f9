"""Reading what a .deb says of itself, without running anything of it."""

import io
import tarfile
from pathlib import Path

from deborch_hub.domain.packages import BinaryPackage, binary_from_control
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import run

_TIMEOUT_S = 60.0
_MAX_CONTROL_TAR_BYTES = 32 << 20
_MAX_CONTROL_BYTES = 1 << 20


async def read_binary(path: Path, file_name: str) -> BinaryPackage:
    """The package in the .deb or .udeb at `path` (a blob), whose name for people is `file_name`.

    dpkg-deb opens it, in a process of its own and bounded in time and output, since it knows every compression
    that Debian and its derivatives use. The control file is read from the tar that it gives.

    Raises:
        DeborchError: INVALID_INPUT if it is no Debian package or its control file is not usable; SERVICE_UNAVAILABLE
            (temporary) if dpkg-deb could not do its work.
    """
    try:
        result = await run(
            ["dpkg-deb", "--ctrl-tarfile", str(path)],
            timeout_s=_TIMEOUT_S,
            max_output_bytes=_MAX_CONTROL_TAR_BYTES,
            kept_bytes=_MAX_CONTROL_TAR_BYTES,
        )
        return binary_from_control(_control_text(result.output), file_name)
    except DeborchError as error:
        if error.code is ErrorCode.PROCESS_TIMEOUT or error.fields.get("reason") == "start":
            raise DeborchError(
                ErrorCode.SERVICE_UNAVAILABLE,
                f"{bounded(file_name, 200)} could not be looked into: {error.message}",
                hint="it is tried again by itself; see that dpkg-deb is installed and the machine is not overloaded",
            ) from error
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"{bounded(file_name, 200)} is not a usable Debian package: {error.message}",
            hint=error.hint,
        ) from error


def _control_text(archive: bytes) -> str:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                if member.name.removeprefix("./") == "control" and member.isreg():
                    return _content(tar, member).decode("utf-8")
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise _unusable(str(error)) from error
    raise _unusable("there is no control file")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    if content is None or member.size > _MAX_CONTROL_BYTES:
        raise _unusable(f"the control file has {member.size} bytes, more than {_MAX_CONTROL_BYTES}")
    return content.read()


def _unusable(what: str) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT, f"its control archive is not usable: {what}", hint="build the package with dpkg-deb"
    )
