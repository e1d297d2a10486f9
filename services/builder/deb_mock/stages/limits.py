"""What one build may use, and what to say when it wanted more."""

import os
from dataclasses import fields, replace
from functools import cache
from typing import Any

from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.spec import Limits
from deborch_shared.sandbox.usage import ResourceUse

_RESERVE_BYTES = 1 << 30
_RESERVE_SHARE = 10
_MOST_PIDS = 16_384
_PIDS_AT_LEAST = 2_048
_PIDS_FOR_A_CPU = 1_024
_DISK_LEFT_BYTES = 1 << 30
_STRICTER_IF_LARGER = frozenset({"disk_free_bytes"})


@cache
def machine_limits() -> Limits:
    """Bounds that no sane build meets, but that keep the machine usable: for one build at a time."""
    return limits_for(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), os.cpu_count() or 1)


def limits_for(memory_bytes: int, cpus: int) -> Limits:
    """All memory but a tenth (at most a quarter, at least 1 GiB if that is less), and threads by the CPUs."""
    reserve = min(max(_RESERVE_BYTES, memory_bytes // _RESERVE_SHARE), memory_bytes // 4)
    pids = min(_MOST_PIDS, _PIDS_AT_LEAST + cpus * _PIDS_FOR_A_CPU)
    return Limits(memory_bytes - reserve, pids=pids, disk_free_bytes=_DISK_LEFT_BYTES)


def configured(chosen: Limits) -> Limits:
    """The limits of each build: what the operator chose, else by the machine's size."""
    return replace(machine_limits(), **_given(chosen))


def narrowed(limits: Limits | None, asked: Limits | None) -> Limits:
    """The limits of one build: of what is configured (None: by the machine's size) and what it asks for the stricter,
    which is the smaller; only of what must stay free the larger."""
    bounds = machine_limits() if limits is None else limits
    if asked is None:
        return bounds
    known = _given(bounds)
    stricter = {
        name: (max if name in _STRICTER_IF_LARGER else min)(value, known.get(name, value))
        for name, value in _given(asked).items()
    }
    return replace(bounds, **stricter)


def _given(limits: Limits) -> dict[str, Any]:
    values = {field.name: getattr(limits, field.name) for field in fields(limits)}
    return {name: value for name, value in values.items() if value is not None}


def check(limits: Limits) -> None:
    """Refuse limits that nothing can run in.

    Raises:
        DeborchError: INVALID_INPUT
    """
    for field in fields(limits):
        value = getattr(limits, field.name)
        if value is not None and value <= 0:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                f"the limit {field.name} must be above 0, not {value}",
                hint="leave it out for no limit of its own",
            )


def over_limit(program: str, use: ResourceUse, limits: Limits) -> DeborchError | None:
    """Why a command that failed did, if it had met a limit."""
    if use.oom_kills:
        return failure(
            FailureClass.KILLED_OOM,
            ErrorCode.BUILD_FAILED,
            f"{program} failed: {use.oom_kills} of its processes were ended, because the build had used up its "
            f"{_shown(limits.memory_bytes)} of memory",
            hint="raise limits.memory, lower --jobs, or let the files go to the disk (--tmpfs-mib 0)",
            limit="memory",
            memory_peak_bytes=use.memory_peak_bytes,
        )
    if use.forks_refused:
        return too_many_processes(program, limits)
    return None


def too_many_processes(program: str, limits: Limits) -> DeborchError:
    return failure(
        FailureClass.KILLED_LIMIT,
        ErrorCode.BUILD_FAILED,
        f"{program} failed: the build had {limits.pids} processes and threads, and was not given more",
        hint="find what starts so many of them, or raise limits.pids",
        limit="pids",
    )


def full(size_bytes: int | None) -> DeborchError:
    """The files of the build took all space that it was given, or all that there was."""
    if size_bytes is None:
        return failure(
            FailureClass.CHROOT,
            ErrorCode.DISK_FULL,
            "the disk that the buildroot is on is full",
            hint="free space there, or give builds memory for their files (--tmpfs-mib)",
        )
    return failure(
        FailureClass.KILLED_LIMIT,
        ErrorCode.BUILD_FAILED,
        f"the build had filled the {_shown(size_bytes)} that it may have for its files",
        hint="give the build more memory for its files (--tmpfs-mib), or let it use the disk (--tmpfs-mib 0)",
        limit="disk",
    )


def disk_nearly_full(left_bytes: int) -> DeborchError:
    """Before the disk is full for everything else on the host as well."""
    return failure(
        FailureClass.CHROOT,
        ErrorCode.DISK_FULL,
        f"the build was ended: the disk that the buildroot is on has only {_shown(left_bytes)} left",
        hint="free space there, or lower what must stay free (disk_free_bytes)",
        limit="disk",
    )


def disk_nearly_without_files(left: int) -> DeborchError:
    """A disk that cannot have more files is full for everything else on the host as well."""
    return failure(
        FailureClass.CHROOT,
        ErrorCode.DISK_FULL,
        f"the build was ended: the disk that the buildroot is on can have only {left} more files (inodes)",
        hint="remove files there, or make the file system anew with more inodes",
        limit="disk",
    )


def _shown(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "share"
    return f"{size_bytes / (1 << 30):.1f} GiB" if size_bytes >= 1 << 30 else f"{size_bytes / (1 << 20):.0f} MiB"
