"""A whole sandbox, as a build gets it, with the programs of the host in it."""

import asyncio
import time
from pathlib import Path

from deb_mock.doctor.finding import Finding, Status, Subject, scratch_directory
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace
from deborch_shared.sandbox.spec import Bind, Lower, SandboxSpec

_LOOK = (
    "test $$ -lt 4 || exit 11; "
    'test "$(cat /proc/sys/kernel/hostname)" = doctor || exit 12; '
    'test "$(grep -c : /proc/net/dev)" = 1 || exit 13; '
    "! true 2>/dev/null >/proc/sys/kernel/hostname || exit 14; "
    "test -r /dev/null || exit 15"
)
_SEEN = {
    11: "the processes of the host",
    12: "the name of the host",
    13: "the network of the host",
    14: "that it can write to /proc/sys",
    15: "no /dev/null",
}


def sandbox(subject: Subject) -> Finding:
    """Open one, look around in it as a build could, and leave it."""
    with scratch_directory(subject.config.state_dir) as place:
        try:
            opened_ms, whole_ms = asyncio.run(_use(place, subject))
        except DeborchError as error:
            code = error.fields.get("returncode")
            what = f"a build would see {_SEEN[code]}" if code in _SEEN else error.message
            return Finding("sandbox", Status.PROBLEM, what, error.hint or "the findings above say what is missing")
    return Finding("sandbox", Status.OK, f"works: opened in {opened_ms:.0f} ms, with a command in {whole_ms:.0f} ms")


async def _use(place: Path, subject: Subject) -> tuple[float, float]:
    lower = place / "lower"
    lower.mkdir()
    for name in ("bin", "lib", "lib64"):
        (lower / name).symlink_to(f"usr/{name}")
    spec = SandboxSpec(
        directory=place / "sandboxes" / "doctor",
        lowers=(Lower(lower, map_ids=False),),
        scratch_bytes=1 << 20 if subject.config.tmpfs_bytes and in_initial_user_namespace() else None,
        binds=(Bind(Path("/usr"), "/usr"),),
        hostname="doctor",
    )
    started_s = time.monotonic()
    async with open_sandbox(spec) as opened:
        opened_s = time.monotonic()
        await opened.run(["/bin/sh", "-c", _LOOK], uid=1, cwd="/build", timeout_s=30)
    return (opened_s - started_s) * 1000, (time.monotonic() - started_s) * 1000
