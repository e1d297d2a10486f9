"""What pydantic refuses in a configuration, as one error."""

from pydantic import BaseModel, ValidationError

from deb_mock.configuration.documents import refused
from deb_mock.configuration.layers import Layer
from deborch_shared.documents.problems import problems_of
from deborch_shared.errors import DeborchError

_MOST_SHOWN = 8


def explained(error: ValidationError, layer: Layer, model: type[BaseModel]) -> DeborchError:
    """`error` as ours: a line for each problem."""
    lines = list(dict.fromkeys(str(problem) for problem in problems_of(error, layer, model)))
    more = f"\nand {len(lines) - _MOST_SHOWN} more" if len(lines) > _MOST_SHOWN else ""
    return refused("\n".join(lines[:_MOST_SHOWN]) + more)
