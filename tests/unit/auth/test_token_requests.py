import logging
from datetime import timedelta

import pytest
from tests.unit.auth.fakes import FakeClock, FakeStore, make_auth, make_key

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential
from deborch_auth.handlers.signing import key_set
from deborch_auth.handlers.tokens import issue_token
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Permission, Role, TokenVerifier

ADDRESS = "192.0.2.1"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


async def refusal(auth, text: str) -> DeborchError:
    with pytest.raises(DeborchError) as refused:
        await issue_token(auth, text, address=ADDRESS)
    return refused.value


async def test_the_holder_of_a_key_gets_a_token_with_the_keys_role_and_scopes(clock, store):
    auth = make_auth(store, clock)
    key, credential = make_key(clock, Role.DEVELOPER, scopes=frozenset({"build:create"}))
    await store.add_key(key)
    token = await issue_token(auth, credential.reveal(), address=ADDRESS)
    principal = await TokenVerifier(lambda: key_set(auth)).verify(token.access_token)
    assert principal.permissions == {Permission.BUILD_CREATE}
    assert principal.subject == key.subject
    assert token.expires_in_s == 600
    assert store.touched == [key.id]


async def test_unknown_keys_and_wrong_secrets_are_refused_in_the_same_words(clock, store):
    auth = make_auth(store, clock)
    key, credential = make_key(clock)
    await store.add_key(key)
    unknown = await refusal(auth, new_credential(CredentialKind.KEY).reveal())
    wrong = await refusal(auth, Credential(credential.kind, credential.id, "A" * 43).reveal())
    assert unknown.code is wrong.code is ErrorCode.UNAUTHENTICATED
    assert unknown.message == wrong.message


async def test_only_who_has_the_secret_learns_that_a_key_is_revoked_or_expired(clock, store):
    auth = make_auth(store, clock)
    revoked, its_credential = make_key(clock, revoked_at=clock.now())
    expired, other_credential = make_key(clock, expires_at=clock.now() + timedelta(seconds=5))
    await store.add_key(revoked)
    await store.add_key(expired)
    clock.advance(5)
    assert "revoked" in (await refusal(auth, its_credential.reveal())).message
    assert "expired" in (await refusal(auth, other_credential.reveal())).message
    guess = Credential(CredentialKind.KEY, revoked.id, "A" * 43).reveal()
    assert "revoked" not in (await refusal(auth, guess)).message


async def test_too_many_failures_are_rate_limited_while_good_keys_at_the_address_go_on(clock, store):
    auth = make_auth(store, clock)
    key, credential = make_key(clock)
    await store.add_key(key)
    await issue_token(auth, credential.reveal(), address=ADDRESS)
    codes = [(await refusal(auth, new_credential(CredentialKind.KEY).reveal())).code for _ in range(25)]
    assert codes[0] is ErrorCode.UNAUTHENTICATED
    assert codes[-1] is ErrorCode.RATE_LIMITED
    assert (await refusal(auth, "nonsense")).code is ErrorCode.RATE_LIMITED
    assert await issue_token(auth, credential.reveal(), address=ADDRESS)


async def test_a_new_key_signs_after_the_old_one_ran_out_and_old_tokens_still_verify(clock, store):
    auth = make_auth(store, clock, signing_key_lifetime_s=100)
    key, credential = make_key(clock)
    await store.add_key(key)
    old = await issue_token(auth, credential.reveal(), address=ADDRESS)
    clock.advance(100)
    new = await issue_token(auth, credential.reveal(), address=ADDRESS)
    assert len((await key_set(auth))["keys"]) == 2
    verifier = TokenVerifier(lambda: key_set(auth))
    assert (await verifier.verify(old.access_token)).subject == (await verifier.verify(new.access_token)).subject
    assert old.access_token.split(".")[0] != new.access_token.split(".")[0]
    clock.advance(700)
    assert [listed["kid"] for listed in (await key_set(auth))["keys"]] == [store.signing[0].id]


async def test_denials_are_audited_and_no_secret_is_logged(clock, store, caplog):
    caplog.set_level(logging.DEBUG)
    auth = make_auth(store, clock)
    credential = new_credential(CredentialKind.KEY)
    error = await refusal(auth, credential.reveal())
    assert [record.audit["outcome"] for record in caplog.records if hasattr(record, "audit")] == ["denied"]
    assert credential.secret not in f"{caplog.text}{error}{error.fields}"
