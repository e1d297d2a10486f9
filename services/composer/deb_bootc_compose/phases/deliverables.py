"""Which file of an output goes into the tree of the compose, and where."""

from collections.abc import Mapping
from pathlib import Path

from deb_bootc_compose.phases.api import PhaseResult

IMAGES = "images"
_FILE_FACTS = ("path", "archive")
"""Of FileFacts and OciFacts."""


def file_of_output(result: PhaseResult) -> Mapping[str, Path]:
    """`images/NAME` for the phases whose facts name one file; empty for others."""
    for fact in _FILE_FACTS:
        name = result.facts.get(fact)
        if isinstance(name, str) and name:
            return {f"{IMAGES}/{Path(name).name}": result.directory / name}
    return {}
