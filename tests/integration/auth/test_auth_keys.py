import asyncio

import pytest

from deborch_shared.contract.auth import AccessToken, Key, KeyCreate, NewKey, TokenRequest, WhoAmI
from deborch_shared.contract.base import Page
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import ROLES, Permission, Role


async def refusal(awaitable) -> DeborchError:
    with pytest.raises(DeborchError) as refused:
        await awaitable
    return refused.value


async def token(service, api_key: str) -> AccessToken:
    async with service.client() as anonymous:
        return await anonymous.post("/api/v1/token", AccessToken, TokenRequest(api_key=api_key))


async def test_the_first_admin_key_administers(service):
    async with service.client(service.admin_key) as admin:
        said = await admin.get("/api/v1/whoami", WhoAmI)
    assert said.roles == ("admin",)
    assert set(said.permissions) == {permission.value for permission in ROLES[Role.ADMIN]}


async def test_a_new_key_has_its_role_and_is_listed_without_its_secret(service):
    made = await service.new_key(role="developer", scopes=("build:read", "identity:read"))
    async with service.client(made.api_key) as developer:
        said = await developer.get("/api/v1/whoami", WhoAmI)
    assert said.permissions == ("build:read", "identity:read")
    assert said.subject == f"key:{made.id}"
    async with service.client(service.admin_key) as admin:
        raw = await admin.call("GET", "/api/v1/keys")
    assert made.prefix.encode() in raw
    assert made.api_key.rsplit("_", 1)[1].encode() not in raw
    assert b"api_key" not in raw


async def test_the_database_holds_no_secret_of_a_key(service):
    made = await service.new_key(role="viewer")
    row = await service.database.fetchrow("SELECT * FROM api_key WHERE id = $1", made.id)
    assert made.api_key.split("_", 3)[3] not in str(dict(row))


async def test_pages_of_keys_follow_each_other_newest_first_without_gap_or_repeat(service):
    made = [(await service.new_key(role="viewer")).id for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    async with service.client(service.admin_key) as admin:
        while True:
            params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = await admin.get("/api/v1/keys", Page[Key], params=params)
            seen += [key.id for key in page.items]
            cursor = page.next
            if cursor is None:
                break
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize("cursor", ["x", "-1", "1e3", "9" * 30, "²"])
async def test_a_cursor_that_is_not_ours_is_invalid_input(service, cursor):
    async with service.client(service.admin_key) as admin:
        error = await refusal(admin.get("/api/v1/keys", Page[Key], params={"cursor": cursor}))
    assert error.code is ErrorCode.INVALID_INPUT


async def test_a_revoked_key_gets_no_more_tokens_and_says_when_it_was_revoked(service):
    made = await service.new_key(role="viewer")
    async with service.client(service.admin_key) as admin:
        revoked = await admin.post(f"/api/v1/keys/{made.id}/revoke", Key)
        again = await admin.post(f"/api/v1/keys/{made.id}/revoke", Key)
    assert revoked.revoked_at == again.revoked_at is not None
    assert "revoked" in (await refusal(token(service, made.api_key))).message


async def test_a_key_that_is_not_there_cannot_be_revoked(service):
    async with service.client(service.admin_key) as admin:
        for key_id in ("0" * 16, "x", "%00", "%ff", "a/../b"):
            assert (await refusal(admin.post(f"/api/v1/keys/{key_id}/revoke", Key))).code in {
                ErrorCode.BAD_REQUEST,
                ErrorCode.NOT_FOUND,
                ErrorCode.INVALID_INPUT,
            }


async def test_the_last_admin_key_cannot_be_revoked_and_one_of_two_can(service):
    first = service.admin_key.split("_")[2]
    await service.new_key(role="admin", scopes=("key:manage",))
    async with service.client(service.admin_key) as admin:
        assert (await refusal(admin.post(f"/api/v1/keys/{first}/revoke", Key))).code is ErrorCode.CONFLICT
        await service.new_key(role="admin")
        assert (await admin.post(f"/api/v1/keys/{first}/revoke", Key)).revoked_at is not None


async def test_two_admins_revoking_each_other_at_once_leave_one(service):
    second = await service.new_key(role="admin")
    ids = [second.id, service.admin_key.split("_")[2]]
    async with service.client(service.admin_key) as one, service.client(second.api_key) as other:
        await asyncio.gather(one.get("/api/v1/whoami", WhoAmI), other.get("/api/v1/whoami", WhoAmI))
        outcomes = await asyncio.gather(
            one.post(f"/api/v1/keys/{ids[0]}/revoke", Key),
            other.post(f"/api/v1/keys/{ids[1]}/revoke", Key),
            return_exceptions=True,
        )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeborchError", "Key"]
    assert await service.database.fetchval("SELECT count(*) FROM api_key WHERE revoked_at IS NULL") == 1


async def test_an_expired_key_is_refused(service):
    made = await service.new_key(role="viewer", expires_in_s=60)
    assert (await token(service, made.api_key)).expires_in_s <= 60
    await service.database.execute(
        "UPDATE api_key SET created_at = now() - interval '2 h', expires_at = now() - interval '1 s' WHERE id = $1",
        made.id,
    )
    assert "expired" in (await refusal(token(service, made.api_key))).message


async def test_nobody_gives_away_more_than_it_has(service):
    narrow = await service.new_key(role="admin", scopes=("key:manage", "build:read"))
    async with service.client(narrow.api_key) as maker:
        error = await refusal(maker.post("/api/v1/keys", NewKey, KeyCreate(name="x", role="admin")))
        assert error.code is ErrorCode.FORBIDDEN
        assert "target:create" in error.message
        wanted = KeyCreate(name="x", role="viewer", scopes=("build:read",))
        assert (await maker.post("/api/v1/keys", NewKey, wanted)).scopes == ("build:read",)


async def test_a_name_that_cannot_be_stored_is_invalid_input(service):
    async with service.client(service.admin_key) as admin:
        error = await refusal(admin.post("/api/v1/keys", NewKey, KeyCreate(name="a\0b", role="viewer")))
    assert error.code is ErrorCode.INVALID_INPUT


async def test_a_wrong_scope_is_refused_and_no_key_is_left_behind(service):
    error = await refusal(service.new_key(role="viewer", scopes=("buidl:read",)))
    assert error.code is ErrorCode.INVALID_INPUT
    assert Permission.BUILD_READ in error.hint
    assert await service.database.fetchval("SELECT count(*) FROM api_key") == 1


async def test_use_of_a_key_is_noted_at_most_once_a_minute(service):
    made = await service.new_key(role="viewer")
    query = "SELECT last_used_at FROM api_key WHERE id = $1"
    assert await service.database.fetchval(query, made.id) is None
    await token(service, made.api_key)
    first = await service.database.fetchval(query, made.id)
    await token(service, made.api_key)
    assert await service.database.fetchval(query, made.id) == first is not None


async def test_too_many_failures_answer_429_with_the_time_to_wait(service):
    async with service.client() as anonymous:
        for _ in range(25):
            error = await refusal(anonymous.post("/api/v1/token", AccessToken, TokenRequest(api_key="guess")))
    assert error.code is ErrorCode.RATE_LIMITED
    assert error.fields["retry_after_s"] >= 1


async def test_a_key_made_twice_with_one_id_is_refused_by_the_database(service):
    first = await service.auth.store.key(service.admin_key.split("_")[2])
    with pytest.raises(DeborchError) as refused:
        await service.auth.store.add_key(first)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS
