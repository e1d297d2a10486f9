import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Permission, Role, TokenVerifier


def new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)


KEY, OTHER = new_key(), new_key()


class KeyServer:
    """Stands in for the auth service."""

    def __init__(self, *keys: OKPKey) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.away = False

    async def __call__(self) -> Mapping[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "auth is away")
        return {"keys": [key.as_dict(private=False) for key in self.keys]}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {
        "iss": "deborch-auth", "aud": "deborch", "sub": "key:1", "roles": ["developer"], "scopes": [],
        "iat": now, "exp": now + 600,
    }  # fmt: skip
    said |= changes
    return {name: value for name, value in said.items() if value is not None}


def token(key=KEY, header=None, **changes: Any) -> str:
    return jwt.encode({"alg": "EdDSA", "kid": key.kid} | (header or {}), claims(**changes), key, algorithms=["EdDSA"])


def segment(part: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode()


async def refused(text: str, server: KeyServer | None = None) -> DeborchError:
    with pytest.raises(DeborchError) as caught:
        await TokenVerifier(server or KeyServer(KEY)).verify(text)
    return caught.value


async def test_a_good_token_says_who_calls_and_until_when():
    principal = await TokenVerifier(KeyServer(KEY)).verify(token(sub="host:b1", roles=["builder"], host="b1"))
    assert (principal.subject, principal.host, principal.roles) == ("host:b1", "b1", {Role.BUILDER})
    assert principal.expires_at.timestamp() > time.time()


BAD_CLAIMS = {
    "expired": {"exp": int(time.time()) - 60},
    "without an expiry": {"exp": None},
    "with an expiry that is no number": {"exp": "tomorrow"},
    "of another issuer": {"iss": "somebody-else"},
    "without an issuer": {"iss": None},
    "for another audience": {"aud": "another-product"},
    "without an audience": {"aud": None},
    "without a subject": {"sub": None},
    "not valid yet": {"nbf": int(time.time()) + 3600},
    "of the future": {"iat": int(time.time()) + 3600},
    "with scopes that are all unknown": {"scopes": ["gone:forever"]},
}


@pytest.mark.parametrize("what", BAD_CLAIMS)
async def test_a_token_is_refused(what):
    assert (await refused(token(**BAD_CLAIMS[what]))).code is ErrorCode.UNAUTHENTICATED


async def test_a_token_signed_by_another_key_under_a_known_name_is_refused():
    forged = token(OTHER, {"kid": KEY.kid})
    assert (await refused(forged)).code is ErrorCode.UNAUTHENTICATED


async def test_a_token_whose_claims_were_changed_is_refused():
    head, _, signature = token().split(".")
    changed = f"{head}.{segment(claims(roles=['admin']))}.{signature}"
    assert (await refused(changed)).code is ErrorCode.UNAUTHENTICATED


@pytest.mark.parametrize("signature", ["", "AAAA"])
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
async def test_a_token_without_a_signature_is_refused(algorithm, signature):
    text = f"{segment({'alg': algorithm, 'kid': KEY.kid})}.{segment(claims())}.{signature}"
    assert (await refused(text)).code is ErrorCode.UNAUTHENTICATED


async def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused():
    secret = OctKey.import_key(orjson.dumps(KEY.as_dict(private=False)))
    text = jwt.encode({"alg": "HS256", "kid": KEY.kid}, claims(), secret)
    assert (await refused(text)).code is ErrorCode.UNAUTHENTICATED


async def test_a_token_that_brings_its_own_key_is_refused():
    text = token(OTHER, {"kid": KEY.kid, "jwk": OTHER.as_dict(private=False)})
    assert (await refused(text)).code is ErrorCode.UNAUTHENTICATED


async def test_an_unknown_key_id_is_asked_for_and_then_refused():
    server = KeyServer(KEY)
    assert (await refused(token(OTHER), server)).code is ErrorCode.UNAUTHENTICATED
    assert server.asked == 1


@given(st.one_of(st.text(), st.text(alphabet="eyJ.0aZ_-", max_size=60), st.binary().map(lambda b: b.decode("latin-1"))))
def test_text_that_is_no_token_is_refused_whatever_it_is(text):
    assert asyncio.run(refused(text)).code in {ErrorCode.UNAUTHENTICATED, ErrorCode.SERVICE_UNAVAILABLE}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "x"]), inner)
    ),
    max_leaves=5,
)


@given(json_values)
def test_a_header_of_any_json_is_refused(header):
    text = f"{segment(header)}.{segment(claims())}.AAAA"
    assert asyncio.run(refused(text)).code is ErrorCode.UNAUTHENTICATED


async def test_a_new_signing_key_is_fetched_when_its_first_token_arrives():
    server = KeyServer(KEY)
    verifier = TokenVerifier(server)
    await verifier.verify(token())
    verifier._fetched_at = float("-inf")
    server.keys.append(OTHER)
    await verifier.verify(token(OTHER))
    assert server.asked == 2


async def test_unknown_key_ids_do_not_hammer_the_auth_service():
    server = KeyServer(KEY)
    verifier = TokenVerifier(server)
    for _ in range(50):
        with pytest.raises(DeborchError):
            await verifier.verify(token(new_key()))
    assert server.asked == 1


async def test_known_keys_go_on_working_while_the_auth_service_is_away():
    server = KeyServer(KEY)
    verifier = TokenVerifier(server)
    await verifier.verify(token())
    server.away = True
    assert await verifier.verify(token(sub="key:2"))
    with pytest.raises(DeborchError) as caught:
        await verifier.verify(token(OTHER))
    assert caught.value.code is ErrorCode.UNAUTHENTICATED


async def test_without_any_key_yet_the_answer_is_to_try_again_and_then_it_works():
    server = KeyServer(KEY)
    server.away = True
    verifier = TokenVerifier(server)
    with pytest.raises(DeborchError) as caught:
        await verifier.verify(token())
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    server.away = False
    assert await verifier.verify(token())


@pytest.mark.parametrize(
    "answer", [{}, {"keys": None}, {"keys": [{"kty": "OKP"}]}, {"keys": [1]}, {"keys": [{"kid": "x"}]}]
)
async def test_a_key_set_that_makes_no_sense_is_as_good_as_none(answer):
    async def fetch():
        return answer

    with pytest.raises(DeborchError) as caught:
        await TokenVerifier(fetch).verify(token())
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


async def test_a_verified_token_is_not_verified_again_and_expires_all_the_same(monkeypatch):
    server = KeyServer(KEY)
    verifier = TokenVerifier(server)
    text = token()
    first = await verifier.verify(text)
    assert await verifier.verify(text) is first
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + 700)
    with pytest.raises(DeborchError):
        await verifier.verify(text)


async def test_the_cache_of_verified_tokens_is_bounded(monkeypatch):
    monkeypatch.setattr("deborch_shared.security.tokens._CACHE_SIZE", 5)
    verifier = TokenVerifier(KeyServer(KEY))
    for number in range(20):
        await verifier.verify(token(jti=str(number)))
    assert len(verifier._verified) == 5


async def test_unknown_roles_and_scopes_grant_nothing_beside_known_ones():
    principal = await TokenVerifier(KeyServer(KEY)).verify(
        token(roles=["developer", "emperor"], scopes=["build:read", "world:rule"])
    )
    assert principal.permissions == {Permission.BUILD_READ}
