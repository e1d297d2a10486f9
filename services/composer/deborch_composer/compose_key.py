"""Which attempt at which compose: what fences every report, file and command."""

import re
from typing import NamedTuple

_TEXT = re.compile(r"([0-9]{1,19})-([0-9]{1,10})")


class ComposeKey(NamedTuple):
    """One attempt; as text `COMPOSE-ATTEMPT`, which names its files."""

    compose_id: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.compose_id}-{self.attempt}"

    @classmethod
    def parse(cls, text: str) -> "ComposeKey | None":
        found = _TEXT.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None
