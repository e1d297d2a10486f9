"""Every permission and which role has it, once, as data."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    """`resource:verb`. Each route declares the one it needs; nothing is permitted that no role grants."""

    TARGET_READ = "target:read"
    TARGET_CREATE = "target:create"
    BUILD_READ = "build:read"
    BUILD_CREATE = "build:create"
    BUILD_CANCEL = "build:cancel"
    BUILD_RETRY = "build:retry"
    TASK_READ = "task:read"
    TASK_CREATE = "task:create"
    TASK_REPORT = "task:report"
    LOG_READ = "log:read"
    BLOB_READ = "blob:read"
    BLOB_WRITE = "blob:write"
    HOST_READ = "host:read"
    HOST_REGISTER = "host:register"
    HOST_MANAGE = "host:manage"
    ARCHIVE_READ = "archive:read"
    EVENT_READ = "event:read"
    IDENTITY_READ = "identity:read"
    KEY_READ = "key:read"
    KEY_MANAGE = "key:manage"
    HOST_ENROL = "host:enrol"
    COMPOSE_READ = "compose:read"
    COMPOSE_CREATE = "compose:create"
    COMPOSE_CANCEL = "compose:cancel"
    COMPOSE_SCHEDULE = "compose:schedule"
    COMPOSE_PROMOTE = "compose:promote"
    COMPOSE_ROLLBACK = "compose:rollback"
    COMPOSE_REPORT = "compose:report"
    COMPOSER_REGISTER = "composer:register"


class _Public:
    """The mark of a route that anyone may call."""

    def __repr__(self) -> str:
        return "PUBLIC"


PUBLIC = _Public()
Requirement = Permission | _Public


class Role(StrEnum):
    VIEWER = "viewer"
    BUILDER = "builder"
    COMPOSER = "composer"
    DEVELOPER = "developer"
    RELEASER = "releaser"
    ADMIN = "admin"


_VIEWER = frozenset(
    {
        Permission.TARGET_READ,
        Permission.BUILD_READ,
        Permission.TASK_READ,
        Permission.LOG_READ,
        Permission.BLOB_READ,
        Permission.HOST_READ,
        Permission.ARCHIVE_READ,
        Permission.EVENT_READ,
        Permission.IDENTITY_READ,
        Permission.COMPOSE_READ,
    }
)
_BUILDER = frozenset(
    {
        Permission.HOST_REGISTER,
        Permission.TASK_REPORT,
        Permission.TASK_READ,
        Permission.BLOB_READ,
        Permission.BLOB_WRITE,
        Permission.ARCHIVE_READ,
        Permission.IDENTITY_READ,
    }
)
_COMPOSER = frozenset(
    {
        Permission.COMPOSER_REGISTER,
        Permission.COMPOSE_REPORT,
        Permission.COMPOSE_READ,
        Permission.TARGET_READ,
        Permission.BUILD_READ,
        Permission.BUILD_CREATE,
        Permission.BUILD_CANCEL,
        Permission.TASK_READ,
        Permission.LOG_READ,
        Permission.EVENT_READ,
        Permission.BLOB_READ,
        Permission.BLOB_WRITE,
        Permission.ARCHIVE_READ,
        Permission.IDENTITY_READ,
    }
)
"""It asks for the builds that a compose needs, and waits for their events."""
_DEVELOPER = _VIEWER | {
    Permission.BUILD_CREATE,
    Permission.BUILD_CANCEL,
    Permission.BUILD_RETRY,
    Permission.BLOB_WRITE,
    Permission.COMPOSE_CREATE,
    Permission.COMPOSE_CANCEL,
}
_RELEASER = _DEVELOPER | {Permission.COMPOSE_SCHEDULE, Permission.COMPOSE_PROMOTE, Permission.COMPOSE_ROLLBACK}
"""What users of the images get is the decision of fewer people than what is tried."""
_OF_MACHINES = frozenset(
    {
        Permission.TASK_REPORT,
        Permission.HOST_REGISTER,
        Permission.COMPOSE_REPORT,
        Permission.COMPOSER_REGISTER,
    }
)
_ADMIN = frozenset(Permission) - _OF_MACHINES

ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.BUILDER: _BUILDER,
        Role.COMPOSER: _COMPOSER,
        Role.DEVELOPER: _DEVELOPER,
        Role.RELEASER: _RELEASER,
        Role.ADMIN: _ADMIN,
    }
)
"""Reports and registrations come from builders and composers alone: an admin acts on hosts, never as one."""


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """All that `roles` grant together."""
    return frozenset().union(*(ROLES[role] for role in roles))
