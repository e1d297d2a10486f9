"""Who is calling and what they may do: principals, permissions, roles as data, offline token verification."""

from deborch_shared.security.permissions import PUBLIC, ROLES, Permission, Role, permissions_of
from deborch_shared.security.principal import Principal
from deborch_shared.security.tokens import TokenVerifier

__all__ = ["PUBLIC", "ROLES", "Permission", "Principal", "Role", "TokenVerifier", "permissions_of"]
