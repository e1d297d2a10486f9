"""Ids as types of their own, so that a task id is never passed where a build id is meant."""

import os
import random
import threading
import time
from typing import NewType

TargetId = NewType("TargetId", int)
BuildId = NewType("BuildId", int)
TaskId = NewType("TaskId", int)
HostId = NewType("HostId", int)
ComposeId = NewType("ComposeId", int)
ArchiveId = NewType("ArchiveId", int)
Attempt = NewType("Attempt", int)
"""How many times a task was assigned, counted from 1. It fences late reports."""
Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

_lock = threading.Lock()
_last_ms = 0
_sequence = 0


def new_event_id() -> str:
    """A UUIDv7 (RFC 9562, section 5.7): unique, and sorted by the time it was made in this process."""
    global _last_ms, _sequence  # noqa: PLW0603 - one counter a process is the point of it
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms <= _last_ms:
            _sequence += 1
            if _sequence > 0xFFF:
                _last_ms, _sequence = _last_ms + 1, 0
        else:
            _last_ms, _sequence = now_ms, 0
        milliseconds, sequence = _last_ms, _sequence
    value = milliseconds << 80 | 0x7 << 76 | sequence << 64 | 0b10 << 62 | random.getrandbits(62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_instance_name(service: str) -> str:
    """A name for one running process, such as `hub-node1-4711`."""
    return f"{service}-{os.uname().nodename}-{os.getpid()}"
