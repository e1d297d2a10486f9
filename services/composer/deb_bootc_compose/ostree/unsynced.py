"""Programs whose files need not be on the disk when they end: fsync(2) and its family do nothing.

dpkg syncs each package; a tree that is half made is thrown away after a crash, so that is time for nothing. The filter
also refuses what no maintainer script needs, such as loading kernel modules or setting the clock.
"""

import base64
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deborch_shared import sandbox
from deborch_shared.sandbox.inside import syscalls

_IMPORT_ROOTS = [str(Path(__file__).resolve().parents[2]), str(Path(sandbox.__file__).resolve().parents[2])]
_START = f"import sys; sys.path += {_IMPORT_ROOTS!r}; from deb_bootc_compose.ostree.unsynced import main; main()"


def unsynced(argv: Sequence[str]) -> list[str]:
    """What to run instead of `argv`; the same if this kernel or host has no filters."""
    from deborch_shared.sandbox import seccomp  # noqa: PLC0415 - not in the child, which starts in milliseconds

    if seccomp.problem() is not None:
        return list(argv)
    calls = seccomp.program(seccomp.Policy(no_sync=True, nested=True))
    return [sys.executable, "-I", "-S", "-c", _START, base64.b64encode(calls).decode(), *argv]


def main() -> NoReturn:
    """In the child: filter, then become the program."""
    filtered, *argv = sys.argv[1:]
    syscalls.filter_calls(base64.b64decode(filtered))
    os.execvp(argv[0], argv)  # noqa: S606 - that is what it is for
