"""What the builder reads from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from deborch_shared.contract.base import Name, Tag
from deborch_shared.worker.settings import WorkerSettings


class BuilderSettings(WorkerSettings):
    """Variables are `DEBORCH_BUILDER_` and the field's name in capitals, unless an alias says otherwise."""

    model_config = SettingsConfigDict(env_prefix="DEBORCH_BUILDER_", frozen=True, extra="ignore", populate_by_name=True)

    name: Name = Field(..., description="Name of this host at the hub; no two builders share one.")
    data_dir: Path = Field(
        Path("/var/lib/deb-orchestrator/builder"),
        description="Directory of key, spool, work and buildroot caches; one daemon at a time uses it.",
    )
    cache_dir: Path | None = Field(
        None,
        description="Base images and dependency layers; several builders of a machine may share it."
        " Unset: in the data directory.",
    )
    tags: Annotated[tuple[Tag, ...], NoDecode] = Field(
        (), description="What this host provides beyond its architecture, separated by commas or spaces."
    )
    cpu: int | None = Field(
        None, ge=1, le=4096, description="Processors to offer; unset: all that this process may use."
    )
    memory_bytes: int | None = Field(None, ge=0, description="Memory to offer, bytes; unset: all of the machine.")
    disk_bytes: int | None = Field(
        None, ge=0, description="Disk to offer, bytes; unset: what is free in the data directory at start."
    )
    mirror: str | None = Field(
        None, description="URI of the Debian mirror for buildroots; unset: that of this machine's own apt sources."
    )
    suites: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Suites whose bases are made at start, while nothing is to be built, and kept ready;"
        " separated by commas or spaces.",
    )
    disk_floor_bytes: int = Field(
        1 << 30,
        ge=0,
        description="With less than this free under the data or cache directory, caches are thinned out and no build"
        " is taken until half as much again is free; 0: never.",
    )
    log_limit_bytes: int = Field(
        128 * 1024 * 1024,
        ge=1024,
        description="A build that writes more to its log is ended: such a log is a loop, and the hub keeps every byte.",
    )

    @field_validator("tags", "suites", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
