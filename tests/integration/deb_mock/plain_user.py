"""A user without root who exists only in a mount namespace of a test: in its /etc/passwd and /etc/subuid."""

import os
import sys
from pathlib import Path

UID = 59_002
FIRST_SUBID = 1_910_000_000
"""Above what systemd and subuid(5) give out, and not where the engine has its own as root."""
HOME, CACHE = "/mnt/home", "/mnt/cache"

_BECOME = f"""\
set -e
mount -t tmpfs -o mode=755 places /mnt
mkdir {HOME} {CACHE} /mnt/etc /mnt/open
mount --bind "$USER_HOME" {HOME}
mount --bind "$USER_CACHE" {CACHE}
chown {UID}:{UID} {HOME} {CACHE}
for closed in $CLOSED; do
  place=$(mktemp -d -p /mnt/open)
  mkdir "$place/upper" "$place/work"
  mount -t overlay -o "lowerdir=$closed,upperdir=$place/upper,workdir=$place/work" open "$closed"
  chmod 755 "$closed"
done
for file in passwd group subuid subgid; do
  touch "/etc/$file"
  cp "/etc/$file" "/mnt/etc/$file"
done
echo 'somebody:x:{UID}:{UID}::{HOME}:/bin/sh' >> /mnt/etc/passwd
echo 'somebody:x:{UID}:' >> /mnt/etc/group
if [ "$WITH_IDS" = yes ]; then
  for file in subuid subgid; do echo 'somebody:{FIRST_SUBID}:65536' >> "/mnt/etc/$file"; done
fi
for file in passwd group subuid subgid; do mount --bind "/mnt/etc/$file" "/etc/$file"; done
cd {HOME}
exec setpriv --reuid={UID} --regid={UID} --clear-groups -- "$@"
"""


def as_user(command: list[str], *, home: Path, cache: Path, with_ids: bool = True) -> tuple[list[str], dict[str, str]]:
    """`command` run by the user, and the environment for it. `home` and `cache` of the host are seen at HOME and CACHE.

    What Python needs is made visible, even below a home of root.
    """
    environment = {
        **os.environ,
        "HOME": HOME,
        "USER": "somebody",
        "XDG_CACHE_HOME": CACHE,
        "USER_HOME": str(home),
        "USER_CACHE": str(cache),
        "CLOSED": " ".join(_closed_directories()),
        "WITH_IDS": "yes" if with_ids else "no",
    }
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", _BECOME, "sh", *command], environment


def processes_of_user() -> list[str]:
    """Command lines of all processes that run as the user, or with one of the user's subordinate ids."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            uid = directory.stat().st_uid
            if uid == UID or FIRST_SUBID <= uid < FIRST_SUBID + 65_536:
                found.append((directory / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _closed_directories() -> list[str]:
    """The outermost directories above Python and this project that only their owner may pass."""
    needed = [Path(sys.executable).resolve(), Path(sys.prefix), Path(__file__).resolve()]
    closed = set()
    for path in needed:
        outermost_first = reversed(path.parents)
        found = next((parent for parent in outermost_first if not parent.stat().st_mode & 0o001), None)
        closed.update([str(found)] if found else [])
    return sorted(closed)
