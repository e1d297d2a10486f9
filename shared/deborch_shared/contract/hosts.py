"""Hosts: what a builder says of itself, and what an operator sees."""

from datetime import datetime

from pydantic import Field

from deborch_shared.contract.base import Architecture, Input, Name, Output, PageQuery, Tag
from deborch_shared.contract.states import HostState


class HostRegister(Input):
    """A builder's registration at each start: idempotent for the same principal, refused for another."""

    name: Name
    architectures: tuple[Architecture, ...] = Field(min_length=1)
    tags: tuple[Tag, ...] = ()
    cpu: int = Field(ge=0, le=4096)
    memory_bytes: int = Field(ge=0)
    disk_bytes: int = Field(ge=0)
    versions: dict[str, str] = Field(default_factory=dict, max_length=32)


class HostRegistration(Output):
    id: int
    name: str
    queue: str
    heartbeat_interval_s: float
    lease_s: float


class Host(Output):
    id: int
    name: str
    state: HostState
    online: bool
    architectures: tuple[str, ...]
    tags: tuple[str, ...]
    cpu: int
    memory_bytes: int
    disk_bytes: int
    used_cpu: int
    used_memory_bytes: int
    used_disk_bytes: int
    running_tasks: tuple[int, ...]
    load_1m: float
    last_heartbeat_at: datetime | None
    registered_at: datetime
    versions: dict[str, str]
    obstacle: str = ""
    """Why no package can be built there now; empty if one can."""


class HostChange(Input):
    state: HostState


class HostQuery(PageQuery):
    state: HostState | None = None
