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


class _Public:
    """The mark of a route that anyone may call."""

    def __repr__(self) -> str:
        return "PUBLIC"


PUBLIC = _Public()
Requirement = Permission | _Public


class Role(StrEnum):
    VIEWER = "viewer"
    BUILDER = "builder"
    DEVELOPER = "developer"
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
_DEVELOPER = _VIEWER | {
    Permission.BUILD_CREATE,
    Permission.BUILD_CANCEL,
    Permission.BUILD_RETRY,
    Permission.BLOB_WRITE,
}
_ADMIN = frozenset(Permission) - {Permission.TASK_REPORT, Permission.HOST_REGISTER}

ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {Role.VIEWER: _VIEWER, Role.BUILDER: _BUILDER, Role.DEVELOPER: _DEVELOPER, Role.ADMIN: _ADMIN}
)
"""Reports and registrations come from builders alone: an admin acts on hosts, never as one."""


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """All that `roles` grant together."""
    return frozenset().union(*(ROLES[role] for role in roles))
