"""What a daemon that works for a hub reads from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr

from deborch_shared.contract.base import Name
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.settings import BrokerSettings, ListenSettings, ServiceSettings


class WorkerSettings(ServiceSettings, ListenSettings, BrokerSettings):
    """A subclass gives the prefix, and the default of `data_dir`."""

    name: Name = Field(..., description="Name of this daemon at the hub; no two share one.")
    hub_url: str = Field(..., validation_alias="DEBORCH_HUB_URL", description="http(s)://host:port of the hub.")
    auth_url: str = Field(..., validation_alias="DEBORCH_AUTH_URL", description="http(s)://host:port of auth.")
    data_dir: Path
    key_file: Path | None = Field(
        None, description="File of the API key of kind host; unset: host.key in the data directory."
    )
    enrolment_token: SecretStr | None = Field(
        None, description="One-time token from which the key is made at first start, while there is no key file."
    )
    enrolment_token_file: Path | None = Field(None, description="File that holds the enrolment token instead.")

    @property
    def key_path(self) -> Path:
        return self.key_file or self.data_dir / "host.key"

    def enrolment(self) -> str | None:
        """The enrolment token, wherever it was given.

        Raises:
            DeborchError: INVALID_SETTING if its file cannot be read.
        """
        if self.enrolment_token is not None:
            return self.enrolment_token.get_secret_value().strip()
        if self.enrolment_token_file is None:
            return None
        try:
            return self.enrolment_token_file.read_text().strip()
        except OSError as error:
            prefix = self.model_config.get("env_prefix", "")
            raise DeborchError(
                ErrorCode.INVALID_SETTING,
                f"{prefix}ENROLMENT_TOKEN_FILE {self.enrolment_token_file}: {error.strerror}",
                hint="write the token that the enrolment printed into that file",
            ) from error
