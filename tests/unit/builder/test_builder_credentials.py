"""Enrolment happens once; tokens are renewed in time, together, and an auth service that is away is outlived."""

import asyncio
import stat

import pytest
from pydantic import BaseModel
from tests.unit.builder.fakes import FakeClock

from deborch_shared.contract.auth import AccessToken, Enrol, NewKey, TokenRequest
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.worker.credentials import AccessTokens, ensure_key

MOMENT = "2030-01-01T00:00:00Z"
AWAY = DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "auth is away")


class FakeAuth:
    """Answers POSTs from memory; `troubles` come first."""

    def __init__(self) -> None:
        self.troubles: list[DeborchError] = []
        self.asked: list[BaseModel] = []

    async def post(self, path: str, model: type[BaseModel], body: BaseModel) -> BaseModel:
        await asyncio.sleep(0)
        self.asked.append(body)
        if self.troubles:
            raise self.troubles.pop(0)
        if model is AccessToken:
            assert isinstance(body, TokenRequest)
            return AccessToken(access_token=f"token-{len(self.asked)}", expires_in_s=600)
        assert isinstance(body, Enrol)
        return NewKey(
            id="0a", name=body.host, prefix="deborch_host_0a", role="builder", scopes=(), created_at=MOMENT,
            created_by="key:admin", expires_at=None, last_used_at=None, revoked_at=None, api_key="the-key",
        )  # fmt: skip


@pytest.fixture
def auth() -> FakeAuth:
    return FakeAuth()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_the_enrolment_token_becomes_a_key_file_that_only_its_owner_reads(auth, clock, tmp_path) -> None:
    file = tmp_path / "keys" / "host.key"
    assert await ensure_key(auth, "b1", file, lambda: "once", clock, kind="builder") == "the-key"
    assert file.read_text() == "the-key\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["host.key"]


async def test_an_enrolment_that_died_before_the_key_was_written_is_taken_up_with_the_same_secret(
    auth, clock, tmp_path, monkeypatch
) -> None:
    """As after kill -9, a full disk or a lost answer: the token is spent, and auth knows the secret that it went to."""
    file = tmp_path / "host.key"
    kept_at_first_call: list[str] = []
    post = auth.post

    async def dies_once(*arguments: object) -> None:
        kept_at_first_call.append((tmp_path / "host.key.enrolling").read_text().strip())
        await post(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(auth, "post", dies_once)
    with pytest.raises(KeyboardInterrupt):
        await ensure_key(auth, "b1", file, lambda: "once", clock, kind="builder")
    monkeypatch.setattr(auth, "post", post)
    assert await ensure_key(auth, "b1", file, lambda: "once", clock, kind="builder") == "the-key"
    first, second = (asked.secret.get_secret_value() for asked in auth.asked)
    assert [first] == kept_at_first_call
    assert first == second
    assert len(first) == 43
    assert [path.name for path in tmp_path.iterdir()] == ["host.key"]


async def test_a_key_file_makes_enrolment_unnecessary(auth, clock, tmp_path) -> None:
    file = tmp_path / "host.key"
    file.write_text("known-key\n")
    assert await ensure_key(auth, "b1", file, lambda: "once", clock, kind="builder") == "known-key"
    assert not auth.asked


async def test_neither_key_nor_token_says_what_to_do(auth, clock, tmp_path) -> None:
    with pytest.raises(DeborchError) as refused:
        await ensure_key(auth, "b1", tmp_path / "host.key", lambda: None, clock, kind="builder")
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    assert "DEBORCH_BUILDER_ENROLMENT_TOKEN" in refused.value.hint


async def test_enrolment_waits_for_auth_and_a_spent_token_is_fatal(auth, clock, tmp_path) -> None:
    auth.troubles = [AWAY, AWAY, DeborchError(ErrorCode.UNAUTHENTICATED, "the enrolment token was used")]
    with pytest.raises(DeborchError) as refused:
        await ensure_key(auth, "b1", tmp_path / "host.key", lambda: "once", clock, kind="builder")
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    assert len(auth.asked) == 3
    assert not (tmp_path / "host.key").exists()


async def test_one_token_serves_until_it_is_nearly_over(auth, clock) -> None:
    tokens = AccessTokens(auth, "key", clock)
    assert await tokens(False) == await tokens(False) == "token-1"
    clock.advance(479)
    assert await tokens(False) == "token-1"
    clock.advance(2)
    assert await tokens(False) == "token-2"


async def test_a_refused_token_is_renewed_once_for_all_who_held_it(auth, clock) -> None:
    tokens = AccessTokens(auth, "key", clock)
    await tokens(False)
    assert await asyncio.gather(*(tokens(True) for _ in range(10))) == ["token-2"] * 10


async def test_first_calls_at_once_share_one_request(auth, clock) -> None:
    tokens = AccessTokens(auth, "key", clock)
    assert set(await asyncio.gather(*(tokens(False) for _ in range(10)))) == {"token-1"}


async def test_a_token_is_used_to_its_end_while_auth_is_away(auth, clock) -> None:
    tokens = AccessTokens(auth, "key", clock)
    await tokens(False)
    clock.advance(590)
    auth.troubles = [AWAY, AWAY, AWAY]
    assert await tokens(False) == "token-1"
    clock.advance(11)
    with pytest.raises(DeborchError) as refused:
        await tokens(False)
    assert refused.value.temporary


async def test_a_key_that_auth_refuses_keeps_the_host_from_building_until_it_is_good_again(auth, clock) -> None:
    tokens = AccessTokens(auth, "the-key", clock)
    await tokens(False)
    clock.advance(500)
    auth.troubles = [DeborchError(ErrorCode.UNAUTHENTICATED, "the key was revoked"), AWAY]
    with pytest.raises(DeborchError):
        await tokens(False)
    assert "revoked" in str(tokens.problem)
    await tokens.look()
    assert "revoked" in str(tokens.problem)
    await tokens.look()
    assert tokens.problem is None
