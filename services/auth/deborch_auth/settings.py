"""What the auth service reads from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from deborch_shared.settings import ListenSettings, ServiceSettings


class AuthSettings(ServiceSettings, ListenSettings):
    """Variables are `DEBORCH_AUTH_` and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="DEBORCH_AUTH_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(..., description="postgresql://user:password@host:port/database, of auth alone.")
    data_dir: Path = Field(
        Path("/var/lib/deb-orchestrator/auth"),
        description="Directory of the pepper file, made at first start; not used if a pepper is given.",
    )
    pepper: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret that API keys are hashed with and signing keys are sealed with; the same for all replicas.",
    )
    token_lifetime_s: int = Field(
        600,
        ge=30,
        le=86_400,
        description="Seconds that an access token lives; a revoked key works on in its tokens for at most as long.",
    )
    signing_key_lifetime_s: int = Field(
        90 * 86_400,
        ge=3_600,
        description="Seconds after which a new key signs; the old one verifies until its last token has expired.",
    )
    bootstrap_key_file: Path | None = Field(
        None,
        description="File that receives the first admin key while no admin key is active; unset: none is made.",
    )
