import pytest

from deborch_auth.domain.grants import checked_scopes, refuse_escalation
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import ROLES, Permission, Principal, Role


def principal(role: Role, *scopes: Permission) -> Principal:
    return Principal("key:1", frozenset({role}), frozenset(scopes))


def test_scopes_of_the_role_are_taken():
    assert checked_scopes(Role.DEVELOPER, ["build:create", "build:read"]) == {
        Permission.BUILD_CREATE,
        Permission.BUILD_READ,
    }


def test_an_unknown_scope_is_refused_and_the_nearest_named():
    with pytest.raises(DeborchError) as refused:
        checked_scopes(Role.ADMIN, ["target:reed"])
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert "target:read" in refused.value.hint


def test_a_scope_like_no_other_is_refused_with_those_of_the_role():
    with pytest.raises(DeborchError) as refused:
        checked_scopes(Role.VIEWER, ["💥" * 500])
    assert "target:read" in refused.value.hint
    assert len(refused.value.message) < 300


def test_a_scope_that_the_role_lacks_is_refused_rather_than_silently_void():
    with pytest.raises(DeborchError, match="does not have key:manage"):
        checked_scopes(Role.VIEWER, ["key:manage"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER, Role.ADMIN])
def test_an_admin_may_make_a_key_of_every_role_of_people(role):
    refuse_escalation(principal(Role.ADMIN), role, frozenset())


@pytest.mark.parametrize("maker", list(Role))
@pytest.mark.parametrize("wanted", list(Role))
def test_nobody_makes_a_key_with_a_permission_that_it_lacks(maker, wanted):
    if ROLES[wanted] <= ROLES[maker]:
        refuse_escalation(principal(maker), wanted, frozenset())
        return
    with pytest.raises(DeborchError) as refused:
        refuse_escalation(principal(maker), wanted, frozenset())
    assert refused.value.code is ErrorCode.FORBIDDEN


def test_a_narrowed_admin_makes_only_keys_as_narrow():
    maker = principal(Role.ADMIN, Permission.KEY_MANAGE, Permission.BUILD_READ)
    refuse_escalation(maker, Role.VIEWER, frozenset({Permission.BUILD_READ}))
    with pytest.raises(DeborchError, match="build:create"):
        refuse_escalation(maker, Role.DEVELOPER, frozenset({Permission.BUILD_READ, Permission.BUILD_CREATE}))
    with pytest.raises(DeborchError):
        refuse_escalation(maker, Role.ADMIN, frozenset())
