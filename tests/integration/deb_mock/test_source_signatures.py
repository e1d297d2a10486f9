"""Signatures of .dsc files, checked by the real gpgv."""

import pytest
from tests.integration.deb_mock.tiny_source import make_source
from tests.openpgp import Signer

from deb_mock.sources.package import SourcePackage
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def signers(tmp_path):
    signers = [Signer(tmp_path / "known"), Signer(tmp_path / "stranger")]
    yield signers
    for signer in signers:
        signer.close()


@pytest.fixture
def dsc(tmp_path):
    directory = tmp_path / "source"
    directory.mkdir()
    return make_source(directory)


async def test_a_good_signature_by_a_known_key_is_accepted(signers, dsc):
    known, _ = signers
    known.sign(dsc)
    package = await SourcePackage.read(dsc, keyring=known.keyring)
    assert package.description.is_signed


async def test_a_signature_by_a_stranger_is_refused(signers, dsc):
    known, stranger = signers
    stranger.sign(dsc)
    with pytest.raises(DeborchError) as caught:
        await SourcePackage.read(dsc, keyring=known.keyring)
    assert caught.value.code is ErrorCode.INVALID_SIGNATURE


async def test_a_changed_text_under_a_good_signature_is_refused(signers, dsc):
    known, _ = signers
    known.sign(dsc)
    dsc.write_bytes(dsc.read_bytes().replace(b"Architecture: any", b"Architecture: all"))
    with pytest.raises(DeborchError) as caught:
        await SourcePackage.read(dsc, keyring=known.keyring)
    assert caught.value.code is ErrorCode.INVALID_SIGNATURE


@pytest.mark.parametrize(
    "together",
    [
        lambda evil, signed: evil + b"\n" + signed,
        lambda evil, signed: signed + b"\n" + evil,
        lambda evil, signed: b"\n" + signed,
        lambda evil, signed: signed.replace(b"\n\n", b"\n \n" + evil + b"\n\n", 1),
        lambda evil, signed: signed.replace(b"\n-----BEGIN PGP SIGNATURE", evil + b"\n-----BEGIN PGP SIGNATURE"),
        lambda evil, signed: signed + signed,
    ],
    ids=["before", "after", "blank line before", "in the armour headers", "at the end of the text", "twice"],
)
async def test_a_good_signature_does_not_vouch_for_text_around_what_was_signed(signers, dsc, together):
    known, _ = signers
    evil = dsc.read_bytes().replace(b"Version: 1.0", b"Version: 9.0")
    known.sign(dsc)
    dsc.write_bytes(together(evil, dsc.read_bytes()))
    with pytest.raises(DeborchError) as caught:
        await SourcePackage.read(dsc, keyring=known.keyring)
    assert caught.value.code is ErrorCode.INVALID_SIGNATURE


async def test_a_keyring_may_be_armoured_and_hold_several_blocks(signers, dsc):
    known, stranger = signers
    armoured = known.keyring.with_name("keyring.asc")
    armoured.write_bytes(stranger.gpg("--armor", "--export") + known.gpg("--armor", "--export"))
    known.sign(dsc)
    assert (await SourcePackage.read(dsc, keyring=armoured)).description.is_signed


@pytest.mark.parametrize("content", [None, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnonsense!\n", b"", b"rubbish"])
async def test_a_keyring_that_cannot_be_used_is_an_error_that_names_it(signers, dsc, tmp_path, content):
    known, _ = signers
    known.sign(dsc)
    keyring = tmp_path / "broken.gpg"
    if content is not None:
        keyring.write_bytes(content)
    with pytest.raises(DeborchError) as caught:
        await SourcePackage.read(dsc, keyring=keyring)
    assert caught.value.code is ErrorCode.INVALID_SIGNATURE
    assert str(keyring) in caught.value.message
