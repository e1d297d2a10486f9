"""Tools that run nothing: they note what was asked, and let a test answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deb_bootc_compose.tools.port import Bound
from deborch_shared.process import OutputSink, ProcessResult


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of `run`."""

    argv: tuple[str, ...]
    bound: tuple[Bound, ...]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes | None
    network: bool


Answer = Callable[[Asked], bytes | ProcessResult | None]


def finished(returncode: int = 0, output: bytes = b"") -> ProcessResult:
    """A program that ended so."""
    return ProcessResult(returncode, output, truncated=False, wall_s=0.0, cpu_s=0.0)


@dataclass
class FakeTools:
    """`answer` gives the output of a program, or a whole result; it may write files as the program would."""

    answer: Answer = lambda _: None
    digest: str = "tools"
    asked: list[Asked] = field(default_factory=list)

    async def machine(self) -> "FakeTools":
        return self

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
        asked = Asked(tuple(argv), tuple(bound), cwd, dict(env or {}), stdin, network)
        self.asked.append(asked)
        answer = self.answer(asked)
        result = answer if isinstance(answer, ProcessResult) else finished(output=answer or b"")
        if on_output is not None and result.output:
            waiting = on_output(result.output)
            if waiting is not None:
                await waiting
        if check and result.returncode != 0:
            raise result.failure(argv)
        return result
