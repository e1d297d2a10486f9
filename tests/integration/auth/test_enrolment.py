import asyncio
import secrets

import asyncpg
import pytest

from deborch_shared.contract.auth import Enrol, EnrolmentCreate, EnrolmentToken, Key, NewKey, WhoAmI
from deborch_shared.errors import DeborchError, ErrorCode


async def allow(service, host: str, **changes: object) -> str:
    async with service.client(service.admin_key) as admin:
        made = await admin.post("/api/v1/enrolments", EnrolmentToken, EnrolmentCreate(host=host, **changes))
    return made.enrolment_token


async def enrol(service, host: str, token: str, secret: str | None = None) -> NewKey:
    async with service.client() as anonymous:
        return await anonymous.post("/api/v1/enrol", NewKey, Enrol(host=host, enrolment_token=token, secret=secret))


async def refusal(awaitable) -> DeborchError:
    with pytest.raises(DeborchError) as refused:
        await awaitable
    return refused.value


async def test_a_builder_gets_a_service_key_that_acts_as_its_host(service):
    made = await enrol(service, "b1", await allow(service, "b1"))
    assert (made.role, made.host) == ("builder", "b1")
    async with service.client(made.api_key) as builder:
        said = await builder.get("/api/v1/whoami", WhoAmI)
    assert (said.subject, said.host, said.roles) == ("host:b1", "b1", ("builder",))
    assert "task:report" in said.permissions


async def test_a_composer_gets_a_service_key_of_its_own_role(service):
    made = await enrol(service, "c1", await allow(service, "c1", role="composer"))
    assert (made.role, made.host, made.name) == ("composer", "c1", "composer c1")
    async with service.client(made.api_key) as composer:
        said = await composer.get("/api/v1/whoami", WhoAmI)
    assert {"compose:report", "build:create"} < set(said.permissions)
    assert "task:report" not in said.permissions


async def test_a_token_is_used_once(service):
    token = await allow(service, "b1")
    await enrol(service, "b1", token)
    assert (await refusal(enrol(service, "b1", token))).code is ErrorCode.UNAUTHENTICATED


async def test_of_many_that_race_for_one_token_one_gets_a_key(service):
    token = await allow(service, "b1")
    outcomes = await asyncio.gather(*(enrol(service, "b1", token) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, NewKey) for outcome in outcomes) == 1
    refused = [outcome for outcome in outcomes if not isinstance(outcome, NewKey)]
    assert {error.code for error in refused} == {ErrorCode.UNAUTHENTICATED}
    assert await service.database.fetchval("SELECT count(*) FROM api_key WHERE host = 'b1'") == 1


async def test_the_same_secret_gets_the_same_key_again_and_no_other_secret_does(service):
    token, secret = await allow(service, "b1"), secrets.token_urlsafe(32)
    outcomes = await asyncio.gather(*(enrol(service, "b1", token, secret) for _ in range(4)))
    assert len({made.api_key for made in outcomes}) == 1
    assert outcomes[0].api_key.endswith(f"_{secret}")
    for other in (None, secrets.token_urlsafe(32)):
        assert (await refusal(enrol(service, "b1", token, other))).code is ErrorCode.UNAUTHENTICATED
    async with service.client(service.admin_key) as admin:
        await admin.post(f"/api/v1/keys/{outcomes[0].id}/revoke", Key)
    assert (await refusal(enrol(service, "b1", token, secret))).code is ErrorCode.UNAUTHENTICATED


@pytest.mark.parametrize("secret", ["", "short", "x" * 44, "é" * 43])
async def test_a_secret_that_is_too_weak_to_be_a_key_is_refused(service, secret):
    error = await refusal(enrol(service, "b1", await allow(service, "b1"), secret))
    assert error.code is ErrorCode.INVALID_INPUT


async def test_a_name_with_an_active_key_is_taken(service):
    early = await allow(service, "b1")
    await enrol(service, "b1", await allow(service, "b1"))
    assert (await refusal(allow(service, "b1"))).code is ErrorCode.NAME_TAKEN
    error = await refusal(enrol(service, "b1", early))
    assert error.code is ErrorCode.NAME_TAKEN
    assert "revoke" in error.hint


async def test_after_its_key_was_revoked_a_builder_enrols_again_even_with_a_token_that_was_refused(service):
    early = await allow(service, "b1")
    lost = await enrol(service, "b1", await allow(service, "b1"))
    await refusal(enrol(service, "b1", early))
    async with service.client(service.admin_key) as admin:
        await admin.post(f"/api/v1/keys/{lost.id}/revoke", Key)
    assert (await enrol(service, "b1", early)).id != lost.id


async def test_a_token_of_another_name_enrols_nobody_and_stays_usable(service):
    token = await allow(service, "b1")
    error = await refusal(enrol(service, "b2", token))
    assert error.code is ErrorCode.UNAUTHENTICATED
    assert "b1" in error.message
    await enrol(service, "b1", token)


async def test_an_expired_token_enrols_nobody(service):
    token = await allow(service, "b1", expires_in_s=1)
    await service.database.execute(
        "UPDATE enrolment_token SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h'"
    )
    assert (await refusal(enrol(service, "b1", token))).code is ErrorCode.UNAUTHENTICATED


async def test_an_api_key_is_no_enrolment_token_nor_the_other_way_round(service):
    assert (await refusal(enrol(service, "b1", service.admin_key))).code is ErrorCode.UNAUTHENTICATED
    token = await allow(service, "b1")
    async with service.client(token) as client:
        assert (await refusal(client.get("/api/v1/whoami", WhoAmI))).code is ErrorCode.UNAUTHENTICATED


@pytest.mark.parametrize("host", ["", "B1", "a b", "../x", "a" * 64, "-x"])
async def test_a_host_name_that_is_unsafe_in_a_path_or_a_key_is_refused(service, host):
    async with service.client(service.admin_key) as admin:
        body = EnrolmentCreate.model_construct(host=host, expires_in_s=60)
        error = await refusal(admin.post("/api/v1/enrolments", EnrolmentToken, body))
    assert error.code is ErrorCode.INVALID_INPUT


async def test_the_database_itself_refuses_two_active_keys_of_one_host_and_a_builder_without_one(service):
    insert = """INSERT INTO api_key (id, kind, name, role, host, digest, created_at, created_by)
                VALUES ($1, $2, 'n', 'builder', $3, sha256($1::text::bytea), now(), 't')"""
    await service.database.execute(insert, "a" * 16, "host", "b1")
    with pytest.raises(asyncpg.UniqueViolationError):
        await service.database.execute(insert, "b" * 16, "host", "b1")
    with pytest.raises(asyncpg.CheckViolationError):
        await service.database.execute(insert, "c" * 16, "key", None)
