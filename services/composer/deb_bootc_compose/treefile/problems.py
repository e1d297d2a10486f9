"""All that is wrong in a treefile, collected, and told as one error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.treefile.nodes import Node, WrittenAt
from deborch_shared.documents.positions import KeyPath, Origin, dotted
from deborch_shared.documents.problems import Problem
from deborch_shared.errors import DeborchError, ErrorCode

_MOST_SHOWN = 20


@dataclass(slots=True)
class Problems:
    """Each once, in the order in which they were found."""

    found: dict[Problem, None] = field(default_factory=dict)

    def add(self, message: str, *, key: KeyPath | str = "", at: Node | Origin | None = None) -> None:
        """One that `message` tells as the end of a line that begins with file, line and key.

        The key is that of `at` where it was written, or else `key`.
        """
        origin = at.origin if isinstance(at, Node) else at
        path = origin.path if isinstance(at, Node) and isinstance(origin, WrittenAt) else key
        name = path if isinstance(path, str) else dotted(path)
        self.found[Problem(name, f": {message}" if name else message, origin)] = None

    def take(self, problem: Problem) -> None:
        """One that is told already."""
        self.found[problem] = None

    def refuse_if_any(self) -> None:
        """End here if there are any.

        Raises:
            DeborchError: INVALID_INPUT, with all of them in `problems`.
        """
        if self.found:
            raise refused(sorted(self.found, key=_place))

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Take the problems of an error that ends what is within."""
        try:
            yield
        except DeborchError as error:
            self.take(Problem("", error.message))


def _place(problem: Problem) -> tuple[str, int]:
    """Of each file from top to bottom, then what is in no file."""
    origin = problem.origin
    return (origin.place, origin.line or 0) if origin else ("\U0010ffff", 0)


def refused(problems: list[Problem]) -> DeborchError:
    """The error that tells `problems`."""
    lines = [str(problem) for problem in problems[:_MOST_SHOWN]]
    if len(problems) > _MOST_SHOWN:
        lines.append(f"and {len(problems) - _MOST_SHOWN} more")
    hint = "mend the treefile; deb-bootc-compose validate FILE shows all problems"
    error = failure(FailureClass.TREEFILE, ErrorCode.INVALID_INPUT, "\n".join(lines), hint=hint)
    error.fields["problems"] = [described(problem) for problem in problems]
    return error


def described(problem: Problem) -> dict[str, object]:
    """For programs."""
    place, line = (problem.origin.place, problem.origin.line) if problem.origin else (None, None)
    return {"file": place, "line": line, "key": problem.key, "message": problem.message.removeprefix(": ").strip()}
