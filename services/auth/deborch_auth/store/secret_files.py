"""Files that hold one secret each: mode 0600, there as a whole or not at all, never overwritten."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from deborch_shared.errors import DeborchError, ErrorCode

_PEPPER_BYTES = 32
PEPPER_FILE = "pepper"


def create_secret_file(path: Path, text: str) -> None:
    """Write `text` to `path`, durably, unless something is there.

    Raises:
        FileExistsError: something is there; it is left as it is.
        DeborchError: INVALID_SETTING if the directory cannot be written.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(partial, path)
        finally:
            partial.unlink()
        _sync_directory(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise DeborchError(
            ErrorCode.INVALID_SETTING,
            f"{path} cannot be written: {error.strerror}",
            hint="make its directory writable for the service's user, or set another path",
        ) from error


def read_secret_file(path: Path) -> str:
    """The secret in `path`.

    Raises:
        DeborchError: INVALID_SETTING if it cannot be read, or if others than its owner can read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeborchError(
            ErrorCode.INVALID_SETTING, f"{path} cannot be read: {error}", hint="it must belong to the service's user"
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise DeborchError(
            ErrorCode.INVALID_SETTING, f"{path} holds a secret that others can read", hint=f"run: chmod 600 {path}"
        )
    return text


def load_pepper(data_dir: Path) -> bytes:
    """The pepper of this installation, made at first start."""
    path = data_dir / PEPPER_FILE
    if not path.exists():
        with suppress(FileExistsError):  # another replica on this machine was faster: its pepper is the pepper
            create_secret_file(path, secrets.token_hex(_PEPPER_BYTES))
    return read_secret_file(path).encode()


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
