import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import ROLES, Permission, Principal, Role


def test_every_role_is_in_the_table_and_every_permission_is_granted_by_some_role():
    assert set(ROLES) == set(Role)
    assert frozenset().union(*ROLES.values()) == frozenset(Permission)


def test_only_builders_report_and_register():
    for permission in (Permission.TASK_REPORT, Permission.HOST_REGISTER):
        assert [role for role in Role if permission in ROLES[role]] == [Role.BUILDER]


def test_only_composers_report_on_composes():
    for permission in (Permission.COMPOSE_REPORT, Permission.COMPOSER_REGISTER):
        assert [role for role in Role if permission in ROLES[role]] == [Role.COMPOSER]


def test_what_users_of_images_get_is_decided_by_releasers_and_admins():
    for permission in (Permission.COMPOSE_PROMOTE, Permission.COMPOSE_ROLLBACK, Permission.COMPOSE_SCHEDULE):
        assert [role for role in Role if permission in ROLES[role]] == [Role.RELEASER, Role.ADMIN]


def test_only_admins_handle_keys_hosts_and_targets():
    for permission in (
        Permission.KEY_MANAGE, Permission.KEY_READ, Permission.HOST_ENROL, Permission.HOST_MANAGE,
        Permission.TARGET_CREATE,
    ):  # fmt: skip
        assert [role for role in Role if permission in ROLES[role]] == [Role.ADMIN]


def test_a_viewer_only_reads():
    assert all(permission.endswith(":read") for permission in ROLES[Role.VIEWER])


@pytest.mark.parametrize("role", list(Role))
def test_scopes_narrow_and_never_widen(role):
    for permission in Permission:
        narrowed = Principal("key:1", frozenset({role}), frozenset({permission}))
        assert narrowed.permissions == ROLES[role] & {permission}


def test_nobody_without_a_role_may_do_anything():
    assert not any(Principal("key:1", frozenset()).may(permission) for permission in Permission)


def test_a_builder_acts_as_no_host_but_its_own():
    builder = Principal("host:b1", frozenset({Role.BUILDER}), host="b1")
    builder.require_host("b1")
    for other in (builder, Principal("key:1", frozenset({Role.ADMIN}))):
        with pytest.raises(DeborchError) as refused:
            other.require_host("b2")
        assert refused.value.code is ErrorCode.FORBIDDEN
