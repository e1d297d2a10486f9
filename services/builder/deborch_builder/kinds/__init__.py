"""The kinds of task that a builder can do: one module each, and the table of them.

Belongs here: what one attempt does between start and report. Does not belong here: reporting, admission, cancelling.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deborch_builder.job import Job
from deborch_builder.kinds.build_package import build_package
from deborch_builder.kinds.fetch_source import fetch_source
from deborch_builder.kinds.noop import noop
from deborch_shared.contract.base import Input
from deborch_shared.contract.payloads import BuildPackagePayload, FetchSourcePayload, NoopPayload
from deborch_shared.contract.states import TaskKind
from deborch_shared.events.model import File

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What its assignments carry, and how one is done: the artifacts, all uploaded, or a DeborchError."""

    payload: type[Input]
    perform: Callable[[Job], Awaitable[tuple[File, ...]]]
    needs_engine: bool


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        TaskKind.NOOP.value: Kind(NoopPayload, noop, needs_engine=False),
        TaskKind.FETCH_SOURCE.value: Kind(FetchSourcePayload, fetch_source, needs_engine=True),
        TaskKind.BUILD_PACKAGE.value: Kind(BuildPackagePayload, build_package, needs_engine=True),
    }
)
