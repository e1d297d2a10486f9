"""What all bodies share."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr, StringConstraints

ItemT = TypeVar("ItemT")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+._-]{0,62}$")]
"""Names of targets and hosts: lower case, safe in paths, routing keys and URLs."""
Architecture = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""A Debian machine architecture (Policy, section 11.1), such as amd64."""
SuiteName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{0,62}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9:._-]{0,62}$")]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]{1,127}$")]
"""Policy, section 5.6.1."""
VersionText = Annotated[str, StringConstraints(pattern=r"^([0-9]+:)?[0-9][A-Za-z0-9.+~-]*$", max_length=200)]
"""Policy, section 5.6.12."""
Secret = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]
"""Hidden in repr, logs and model_dump(); only the JSON that a client sends holds it."""
Priority = Annotated[int, Field(ge=-1000, le=1000)]
"""Higher goes first; 0 is usual."""


class Input(BaseModel):
    """What a caller sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Output(BaseModel):
    """What a service answers; callers ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Page(Output, Generic[ItemT]):
    """One page of a list; `next` is the `cursor` of the following page, or null."""

    items: list[ItemT]
    next: str | None = None


class PageQuery(Input):
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=1_000)


class StoredFile(Output):
    """A file in the blob store under the name that it has for people."""

    name: str
    sha256: Sha256Hex
    size_bytes: int
