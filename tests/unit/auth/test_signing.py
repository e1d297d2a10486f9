from datetime import timedelta

import orjson
import pytest
from tests.unit.auth.fakes import PEPPER, FakeClock, make_key

from deborch_auth.domain.signing import new_signing_key, signed, token_claims, unsealed
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Role, TokenVerifier


def signing_key(clock: FakeClock):
    return new_signing_key(PEPPER, now=clock.now(), lifetime_s=3600, token_lifetime_s=600)


def test_neither_the_public_nor_the_sealed_part_shows_the_private_key():
    key = signing_key(FakeClock())
    private = unsealed(PEPPER, key).as_dict(private=True)["d"]
    assert private not in orjson.dumps(dict(key.public)).decode()
    assert private not in key.sealed


def test_a_key_sealed_under_another_pepper_says_that_the_pepper_is_wrong():
    with pytest.raises(DeborchError, match="pepper") as refused:
        unsealed(b"q" * 32, signing_key(FakeClock()))
    assert refused.value.code is ErrorCode.INVALID_SETTING


def test_a_key_is_listed_until_the_last_token_that_it_signed_has_expired():
    clock = FakeClock()
    key = signing_key(clock)
    assert key.expires_at - key.signs_until >= timedelta(seconds=600)


async def test_a_token_verifies_with_the_public_part_and_says_who_its_holder_is():
    clock = FakeClock()
    key = signing_key(clock)
    holder, _ = make_key(clock, Role.BUILDER, host="b1")
    token = signed(token_claims(holder, now=clock.now(), lifetime_s=600), unsealed(PEPPER, key))

    async def fetch():
        return {"keys": [dict(key.public)]}

    principal = await TokenVerifier(fetch).verify(token)
    assert principal.subject == "host:b1"
    assert principal.host == "b1"
    assert principal.roles == {Role.BUILDER}
    assert principal.expires_at == clock.now() + timedelta(seconds=600)


def test_a_token_never_outlives_its_key():
    clock = FakeClock()
    holder, _ = make_key(clock, expires_at=clock.now() + timedelta(seconds=90))
    claims = token_claims(holder, now=clock.now(), lifetime_s=600)
    assert claims["exp"] - claims["iat"] == 90


def test_a_stored_scope_that_this_release_does_not_know_goes_on_narrowing_the_key():
    clock = FakeClock()
    holder, _ = make_key(clock, scopes=frozenset({"gone:forever"}))
    assert token_claims(holder, now=clock.now(), lifetime_s=600)["scopes"] == ["gone:forever"]
