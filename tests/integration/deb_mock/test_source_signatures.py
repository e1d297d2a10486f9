"""Signatures of .dsc files, checked by the real gpgv."""

import subprocess

import pytest
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.source import SourcePackage
from deborch_shared.errors import DeborchError, ErrorCode


class Signer:
    """A key of its own."""

    def __init__(self, home) -> None:
        home.mkdir(mode=0o700)
        self._home = home
        self.gpg("--quick-generate-key", f"{home.name}@example.org", "ed25519", "sign", "never")
        self.keyring = home / "keyring.gpg"
        self.keyring.write_bytes(self.gpg("--export"))

    def gpg(self, *arguments: str):
        command = ["gpg", "--batch", "--homedir", str(self._home), "--passphrase", "", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def sign(self, path):
        path.write_bytes(self.gpg("--clear-sign", "--output", "-", str(path)))

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)


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


async def test_what_stands_around_the_signed_text_is_not_read(signers, dsc):
    known, _ = signers
    known.sign(dsc)
    dsc.write_bytes(b"Source: evil\nVersion: 9\n\n" + dsc.read_bytes() + b"\nSource: evil\n")
    try:
        package = await SourcePackage.read(dsc, keyring=known.keyring)
    except DeborchError:
        return
    assert package.description.name == "tiny"
