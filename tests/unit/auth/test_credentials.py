import pytest
from hypothesis import given
from hypothesis import strategies as st

from deborch_auth.domain.credentials import Credential, CredentialKind, new_credential, parse_credential
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.telemetry.logs import without_secrets

PEPPER = b"p" * 32


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_a_new_credential_is_read_back_as_it_was_made(kind):
    made = new_credential(kind)
    assert parse_credential(made.reveal(), kind) == made
    assert parse_credential(f"  {made.reveal()}\n", kind) == made


def test_every_credential_differs_in_id_and_secret():
    made = [new_credential(CredentialKind.KEY) for _ in range(200)]
    assert len({c.id for c in made}) == len({c.secret for c in made}) == 200


def test_a_credential_of_another_kind_is_refused():
    with pytest.raises(DeborchError) as refused:
        parse_credential(new_credential(CredentialKind.ENROLMENT).reveal(), CredentialKind.KEY, CredentialKind.HOST)
    assert refused.value.code is ErrorCode.UNAUTHENTICATED


@given(st.text(max_size=100))
def test_text_that_is_no_credential_is_refused_and_not_repeated(text):
    with pytest.raises(DeborchError) as refused:
        parse_credential(f"{text}!", CredentialKind.KEY)
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    assert f"{text}!" not in str(refused.value)


def test_only_the_right_secret_under_the_right_pepper_matches():
    made = new_credential(CredentialKind.KEY)
    stored = made.digest(PEPPER)
    assert made.matches(PEPPER, stored)
    assert not made.matches(b"another pepper, as long as the first", stored)
    assert not Credential(made.kind, made.id, new_credential(made.kind).secret).matches(PEPPER, stored)


def test_a_digest_stands_for_no_other_id_or_kind():
    made = new_credential(CredentialKind.KEY)
    stored = made.digest(PEPPER)
    assert not Credential(CredentialKind.HOST, made.id, made.secret).matches(PEPPER, stored)
    assert not Credential(made.kind, "0" * 16, made.secret).matches(PEPPER, stored)


def test_a_credential_that_is_not_stored_never_matches():
    assert not new_credential(CredentialKind.KEY).matches(PEPPER, None)


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_the_secret_shows_neither_in_repr_nor_in_logs(kind):
    made = new_credential(kind)
    assert made.secret not in repr(made)
    shown = without_secrets(f"somebody logged {made.reveal()} by mistake")
    assert made.secret not in shown
    assert made.prefix in shown
