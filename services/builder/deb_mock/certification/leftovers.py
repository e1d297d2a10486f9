"""What a build may not leave behind: processes, mounts and files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Footprint:
    """What belongs to this process and to a directory at one moment."""

    processes: frozenset[str]
    """Of the whole machine, that this process or a child of it started: they carry its mark."""
    mounts: frozenset[str]
    files: frozenset[str]

    @classmethod
    def taken(cls, directory: Path, mark: str) -> Self:
        """Look now. `mark` is a variable that only this process and what it started have in their environment."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        files = (str(path) for path in directory.rglob("*") if path.name != "sandboxes")
        return cls(frozenset(_marked(mark)), frozenset(line.split()[4] for line in mounts), frozenset(files))

    def since(self, before: "Footprint") -> list[str]:
        """What is there now and was not before."""
        return [
            *(f"process {each}" for each in sorted(self.processes - before.processes)),
            *(f"mount {each}" for each in sorted(self.mounts - before.mounts)),
            *(f"file {each}" for each in sorted(self.files - before.files)),
        ]


def _marked(mark: str) -> list[str]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes()
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        if mark.encode() in environment and int(directory.name) != os.getpid():
            found.append(f"{directory.name} {command[:120]}")
    return found
