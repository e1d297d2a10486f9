"""The hub's settings, from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from deborch_shared.settings import BrokerSettings, ListenSettings, ServiceSettings


class HubSettings(ServiceSettings, ListenSettings, BrokerSettings):
    """What the hub reads at start."""

    model_config = SettingsConfigDict(env_prefix="DEBORCH_HUB_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(..., description="postgresql://user:password@host:port/database")
    database_pool: int = Field(10, ge=2, le=200, description="Most connections to PostgreSQL.")
    data_dir: Path = Field(..., description="Blobs, logs, archives and the archive key; shared by all replicas.")
    public_url: str = Field("", description="What archive URLs start with; empty: http://host:port as listened on.")
    auth_url: str = Field(
        ..., validation_alias="DEBORCH_AUTH_URL", description="The auth service, for its key set (JWKS)."
    )
    lease_s: float = Field(60.0, gt=1, description="Seconds until a silent builder's task is given to another.")
    heartbeat_s: float = Field(5.0, gt=0.1, description="Seconds between a builder's heartbeats; well below lease_s.")
    strategy: Literal["spread", "pack"] = Field("spread", description="How a host is chosen among those that fit.")
    build_cpu: int = Field(1, ge=0, description="Processors that a build asks of a host; its parallel=N too.")
    build_memory_bytes: int = Field(1 << 30, ge=0, description="Memory that a build asks of a host.")
    build_disk_bytes: int = Field(2 << 30, ge=0, description="Disk that a build asks of a host.")
    build_timeout_s: float = Field(4 * 3600.0, gt=0, description="Seconds after which a build is ended.")
    dep_wait_retry_s: float = Field(
        3600.0, gt=0, description="Seconds after which a build that waits for build dependencies tries again by itself."
    )
    source_keyring: Path | None = Field(
        None, description="Keys that may sign a .dsc where a target asks for it; binary or armoured."
    )
    registry_auth_file: Path | None = Field(
        None,
        description="Logins of the registries in which the hub moves tags, as `skopeo login --authfile` writes it.",
    )
    keep_snapshots: int | None = Field(None, ge=1, description="Snapshots kept of each archive; unset: all.")
    keep_events_s: float = Field(30 * 86400.0, gt=0, description="Seconds that events can be resumed from.")
