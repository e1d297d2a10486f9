"""What phases ask of the tools root, so that tests run them with a fake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deborch_shared.process import OutputSink, ProcessResult


@dataclass(frozen=True, slots=True)
class Bound:
    """A file or directory of the host that a program sees, at the same path unless `inside` says otherwise."""

    path: Path
    writable: bool = False
    inside: str | None = None


class Tools(Protocol):
    """Runs programs of the tools root in fresh namespaces: no network unless asked for, nothing outlives the call."""

    @property
    def digest(self) -> str:
        """Of the packages in the tools root, with versions: part of the inputs of each phase that uses it."""

    async def machine(self) -> "Tools":
        """A larger tools root, with qemu and UEFI firmware; made at the first call."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        bound: Sequence[Bound] = (),
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        network: bool = False,
        on_output: OutputSink | None = None,
        timeout_s: float | None = None,
        check: bool = True,
    ) -> ProcessResult:
        """Run `argv` as root of the tools root; raises what `deborch_shared.process.run` raises."""
