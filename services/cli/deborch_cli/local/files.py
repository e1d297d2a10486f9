"""What is kept in the data directory between starts, and whether there is room for it."""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from deborch_cli.private_files import write_private
from deborch_shared.errors import DeborchError, ErrorCode

MEBIBYTE = 1 << 20


def private_directory(path: Path) -> Path:
    """Make `path` with mode 0700, parents included; one that exists keeps its mode."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of ours; empty if there is none yet.

    Raises:
        DeborchError: INVALID_INPUT if the file is damaged.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_private(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def new_password() -> str:
    """192 random bits, safe in a URL."""
    return secrets.token_urlsafe(24)


def require_space(directory: Path, needed_bytes: int, what: str) -> None:
    """Refuse to begin what would run out of disk.

    Raises:
        DeborchError: DISK_FULL.
    """
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < needed_bytes:
        raise disk_full(
            directory,
            f"{what} needs {needed_bytes // MEBIBYTE} MiB in {directory}, {free_bytes // MEBIBYTE} MiB are free",
        )


def disk_full(directory: Path, message: str) -> DeborchError:
    return DeborchError(
        ErrorCode.DISK_FULL, message, hint=f"free space on the disk that holds {directory}, or choose another directory"
    )


def _damaged(path: Path) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"{path} is damaged",
        hint="restore it from a backup, or move the data directory away and start with an empty one",
    )
