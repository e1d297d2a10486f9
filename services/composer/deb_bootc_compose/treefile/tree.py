"""What is done to the root filesystem once its packages are installed."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from deb_bootc_compose.treefile.base import Part

_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")


def _account(name: str) -> str:
    if not _ACCOUNT.fullmatch(name):
        raise ValueError("a name of lower-case letters, digits, - and _ is expected")
    return name


def _in_tree(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError("an absolute path in the tree, without `..`, is expected")
    return path


def _octal(mode: object) -> object:
    """`"0644"` as people write modes; YAML reads 0644 itself as octal."""
    return int(mode, 8) if isinstance(mode, str) and re.fullmatch(r"0?o?[0-7]{3,4}", mode) else mode


AccountName = Annotated[str, AfterValidator(_account)]
TreePath = Annotated[str, AfterValidator(_in_tree)]


class Composefs(StrEnum):
    """`enabled` of `[composefs]` in prepare-root.conf; `auto`: what the suite's ostree can."""

    AUTO = "auto"
    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


class IdCheck(Part):
    """Whether uids or gids may change from one compose to the next (`check-passwd`, `check-groups`)."""

    type: Literal["none", "previous", "file", "data"] = "previous"
    """Not at all, against the commit before, against `filename`, or against `entries`."""
    filename: str | None = None
    """A file like passwd or group beside the treefile."""
    entries: dict[str, int | tuple[int, int]] = {}
    """Name to id, or to uid and gid."""

    @model_validator(mode="after")
    def _has_what_it_compares_with(self) -> Self:
        if self.type == "file" and not self.filename:
            raise ValueError("type file needs filename")
        if self.type == "data" and not self.entries:
            raise ValueError("type data needs entries")
        return self


class AddedFile(Part):
    """A file beside the treefile that goes into the tree."""

    source: str
    """Relative to the treefile that names it."""
    destination: TreePath
    """Absolute, in the tree."""
    mode: Annotated[int, BeforeValidator(_octal), Field(ge=0, le=0o7777)] | None = None
    """Such as `0644`; none: 0644, or 0755 if the source is executable."""

    @model_validator(mode="before")
    @classmethod
    def _of_pair(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was written
        if isinstance(value, list | tuple):
            if len(value) != 2:
                raise ValueError("[SOURCE, DESTINATION] is expected")
            return {"source": value[0], "destination": value[1]}
        return value


class RemovedFromPackage(Part):
    """Files of one package that are left out, as regular expressions over their paths."""

    package: str
    """By which the files were installed."""
    patterns: tuple[str, ...] = Field(min_length=1)
    """Regular expressions that a whole path has to match."""

    @model_validator(mode="before")
    @classmethod
    def _of_list(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was written
        if isinstance(value, list | tuple):
            if len(value) < 2:
                raise ValueError("[PACKAGE, PATTERN...] is expected")
            return {"package": value[0], "patterns": value[1:]}
        return value

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return self


class User(Part):
    """An account that the image has, made by sysusers.d."""

    name: AccountName
    """By which it is overridden."""
    uid: Annotated[int, Field(ge=0, le=2**32 - 3)] | None = None
    """None: the next that is free."""
    gid: Annotated[int, Field(ge=0, le=2**32 - 3)] | None = None
    """None: that of a group of its name."""
    gecos: str = ""
    """Full name."""
    home: TreePath | None = None
    """None: /var/home/NAME, or / for system users."""
    shell: TreePath | None = None
    """None: /bin/bash, or none for system users."""
    groups: tuple[AccountName, ...] = ()
    """More groups that it is in."""
    password_hash: str | None = None
    """As crypt(5) writes it; none: no password."""
    ssh_keys: tuple[str, ...] = ()
    """Public keys that may log in."""
    system: bool = False
    """True: of a service, not of a person."""


class Group(Part):
    """A group that the image has, made by sysusers.d."""

    name: AccountName
    """By which it is overridden."""
    gid: Annotated[int, Field(ge=0, le=2**32 - 3)] | None = None
    """None: the next that is free."""
