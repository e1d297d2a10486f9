"""A whole sandbox, as a build gets it, with the programs of the host in it."""

import asyncio
import time
from pathlib import Path

from deb_mock.doctor.finding import Finding, Status, Subject, scratch_directory
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.backends import problem
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.inside.id_map import in_initial_user_namespace
from deborch_shared.sandbox.spec import Backend, Bind, Lower, SandboxSpec

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
    chosen = subject.config.backend
    try:
        opened_ms, whole_ms = _try(subject, chosen)
    except DeborchError as error:
        return Finding("sandbox", Status.PROBLEM, f"by {chosen}: {_said(error)}", error.hint)
    found = f"works by {chosen}: opened in {opened_ms:.0f} ms, with a command in {whole_ms:.0f} ms"
    return Finding("sandbox", Status.OK, found)


def backends(subject: Subject) -> Finding:
    """The same by each backend, and which is chosen."""
    chosen = subject.config.backend
    others = [one for one in (Backend.NAMESPACES, Backend.BWRAP, Backend.NSPAWN) if one is not chosen]
    why = "the default" if chosen is Backend.NAMESPACES else "a setting"
    found = [f"{chosen} is chosen: {why}", *(f"{one} {_outcome(subject, one)}" for one in others)]
    return Finding("backends", Status.OK, "; ".join(found))


def _outcome(subject: Subject, backend: Backend) -> str:
    missing = problem(backend)
    if missing is not None:
        return f"cannot be used: {missing.message} ({missing.hint})"
    try:
        _, whole_ms = _try(subject, backend)
    except DeborchError as error:
        return f"does not work: {_said(error)}"
    return f"works, in {whole_ms:.0f} ms"


def _said(error: DeborchError) -> str:
    code = error.fields.get("returncode")
    return f"a build would see {_SEEN[code]}" if code in _SEEN else error.message


def _try(subject: Subject, backend: Backend) -> tuple[float, float]:
    with scratch_directory(subject.config.state_dir) as place:
        return asyncio.run(_use(place, subject, backend))


async def _use(place: Path, subject: Subject, backend: Backend) -> tuple[float, float]:
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
        backend=backend,
        filtering=subject.config.filtering,
    )
    started_s = time.monotonic()
    async with open_sandbox(spec) as opened:
        opened_s = time.monotonic()
        await opened.run(["/bin/sh", "-c", _LOOK], uid=1, cwd="/build", timeout_s=30)
    return (opened_s - started_s) * 1000, (time.monotonic() - started_s) * 1000
