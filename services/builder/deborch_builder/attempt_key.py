"""Which attempt at which task: what fences every report, file and command."""

import re
from typing import NamedTuple

from deborch_shared.events.model import AssignTask, BuildDone, CancelTask

_TEXT = re.compile(r"([0-9]{1,19})-([0-9]{1,10})")


class AttemptKey(NamedTuple):
    """One attempt; as text `TASK-ATTEMPT`, which names its files."""

    task_id: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.task_id}-{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> "AttemptKey | None":
        found = _TEXT.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None


def key_of(message: AssignTask | CancelTask | BuildDone) -> AttemptKey:
    """Which attempt a command or a report is about."""
    return AttemptKey(message.task_id, message.attempt)
