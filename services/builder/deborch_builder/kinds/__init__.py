"""The kinds of task that a builder can do: one module each, and the table of them.

Belongs here: what one attempt does between start and report. Does not belong here: reporting, admission, cancelling.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from deborch_builder.job import Job
from deborch_builder.kinds.build_package import build_package
from deborch_builder.kinds.fetch_source import fetch_source
from deborch_builder.kinds.noop import noop
from deborch_shared.contract.base import Input
from deborch_shared.contract.payloads import BuildPackagePayload, FetchSourcePayload, NoopPayload
from deborch_shared.contract.states import TaskKind
from deborch_shared.errors import bounded
from deborch_shared.events.model import File

__all__ = ["KINDS", "Kind"]
_SAID_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Kind:
    """What its assignments carry, and how one is done: the artifacts, all uploaded, or a DeborchError."""

    payload: type[Input]
    perform: Callable[[Job], Awaitable[tuple[File, ...]]]
    needs_engine: bool

    def not_understood(self, payload: Mapping[str, Any]) -> str | None:
        """What is wrong with an order's payload, which a hub of another version may have made; None if nothing is."""
        try:
            self.payload.model_validate(payload)
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
            places = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
            return bounded("; ".join(places), _SAID_CHARACTERS)
        return None


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        TaskKind.NOOP.value: Kind(NoopPayload, noop, needs_engine=False),
        TaskKind.FETCH_SOURCE.value: Kind(FetchSourcePayload, fetch_source, needs_engine=True),
        TaskKind.BUILD_PACKAGE.value: Kind(BuildPackagePayload, build_package, needs_engine=True),
    }
)
