"""What the composer reads from the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from deborch_shared.worker.settings import WorkerSettings


class ComposerSettings(WorkerSettings):
    """Variables are `DEBORCH_COMPOSER_` and the field's name in capitals, unless an alias says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="DEBORCH_COMPOSER_", frozen=True, extra="ignore", populate_by_name=True
    )

    data_dir: Path = Field(
        Path("/var/lib/deb-orchestrator/composer"),
        description="Directory of key, spool and work; one daemon at a time uses it.",
    )
    state_dir: Path | None = Field(
        None,
        description="Composes, finished phases, caches and repositories of deb-bootc-compose; its command line can use"
        " the same. Unset: in the data directory.",
    )
    slots: int = Field(1, ge=1, le=64, description="How many composes it runs at a time.")
    workers: int = Field(2, ge=1, le=64, description="How many phases of one compose it runs at a time.")
    allowed_dirs: tuple[Path, ...] = Field(
        (),
        description="JSON list of directories that a treefile from the hub may name beside its own files: signing keys,"
        " registry credentials, local repositories.",
    )
    disk_floor_bytes: int = Field(
        1 << 30,
        ge=0,
        description="With less than this free under the data or state directory, caches are thinned out and no compose"
        " is taken until half as much again is free; 0: never.",
    )

    @property
    def state_path(self) -> Path:
        return self.state_dir or self.data_dir / "state"
