"""What is done to the root filesystem once its packages are installed."""

from enum import StrEnum
from typing import Literal

from deb_bootc_compose.treefile.base import Part


class Composefs(StrEnum):
    """`enabled` of `[composefs]` in prepare-root.conf; `auto`: what the suite's ostree can."""

    AUTO = "auto"
    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


class IdCheck(Part):
    """Whether uids or gids may change from one compose to the next (`check-passwd`, `check-groups`)."""

    type: Literal["none", "previous", "file", "data"] = "previous"
    filename: str | None = None
    entries: dict[str, int | tuple[int, int]] = {}


class AddedFile(Part):
    """A file beside the treefile that goes into the tree."""

    source: str
    destination: str
    mode: int | None = None


class RemovedFromPackage(Part):
    """Files of one package that are left out, as regular expressions over their paths."""

    package: str
    patterns: tuple[str, ...]


class User(Part):
    """An account that the image has, made by sysusers.d."""

    name: str
    uid: int | None = None
    gid: int | None = None
    gecos: str = ""
    home: str | None = None
    shell: str | None = None
    groups: tuple[str, ...] = ()
    password_hash: str | None = None
    ssh_keys: tuple[str, ...] = ()
    system: bool = False


class Group(Part):
    """A group that the image has, made by sysusers.d."""

    name: str
    gid: int | None = None


class OsRelease(Part):
    """Fields of /usr/lib/os-release that are set; `${version}` is the version of the commit."""

    fields: dict[str, str]
