"""Whether a .dsc is signed by a key that is trusted, and that nothing of it but what was signed will be read.

gpgv looks for signatures anywhere in a file and says nothing about the text around them, while readers of control
files take the first paragraph that they find. So the form is checked as strictly as the signature: one clear-signed
message (RFC 9580, section 7), nothing beside it, and its text is what gpgv says was signed. Source of that form:
dpkg-source(1) and debsign(1), which write no other.
"""

import asyncio
import base64
import binascii
import re
import tempfile
from pathlib import Path

from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_CLEAR_SIGNED = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [^\n]+\n)*\n(?P<body>.+?)\n"
    rb"-----BEGIN PGP SIGNATURE-----\n.+\n-----END PGP SIGNATURE-----\s*\Z",
    re.DOTALL,
)
_BEGINNING = b"-----BEGIN PGP "
_KEY_BLOCK = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n:]+:[^\r\n]*\r?\n)*[ \t]*\r?\n"
    rb"(?P<data>[A-Za-z0-9+/\s]+={0,2})\s*(?:=[A-Za-z0-9+/]{4}\s*)?-----END PGP PUBLIC KEY BLOCK-----"
)
_TIMEOUT_S = 60.0


async def check_source_signature(text: bytes, keyring: Path, *, file_name: str) -> None:
    """Refuse `text`, a .dsc, unless all of it is signed by a key in `keyring`, which may be binary or armoured.

    As with gpgv(1) every key in the keyring counts, expired and revoked ones too: take out what is not trusted.

    Raises:
        DeborchError: INVALID_SIGNATURE, saying whether the signature, the form or the keyring is at fault.
    """
    matched = _CLEAR_SIGNED.match(text)
    if matched is None or text.count(_BEGINNING) != 2:
        raise DeborchError(
            ErrorCode.INVALID_SIGNATURE,
            f"{file_name} is not signed as a whole, and the policy asks for that",
            hint="sign it with debsign, and add nothing before or after what that writes",
        )
    keys = await asyncio.to_thread(_binary_keyring, keyring)
    signed = await _signed_text(text, keys, keyring, file_name)
    if _lines(signed) != _lines(matched["body"]):
        raise DeborchError(
            ErrorCode.INVALID_SIGNATURE,
            f"{file_name} holds other text than what was signed",
            hint="make and sign it again: dpkg-source -b, then debsign",
        )


async def check_detached_signature(signature: Path, signed: Path, keys: bytes, *, file_name: str) -> None:
    """Refuse the file `signed` unless `signature` is a good one of it by one of `keys`, binary or armoured.

    Raises:
        DeborchError: INVALID_SIGNATURE, saying whether the signature or the keys are at fault.
    """
    with tempfile.TemporaryDirectory(prefix="deborch-gpgv-") as directory:
        trusted = Path(directory) / "keyring.gpg"
        try:
            trusted.write_bytes(_binary_keys(keys))
        except (ValueError, binascii.Error) as error:
            raise DeborchError(
                ErrorCode.INVALID_SIGNATURE,
                f"the keys for {file_name} cannot be used: {error}",
                hint="they must be made with `gpg --armor --export KEY`",
            ) from error
        command = ["gpgv", "--keyring", str(trusted), "--", str(signature), str(signed)]
        checked = await process.run(command, timeout_s=_TIMEOUT_S, check=False)
    if checked.returncode != 0:
        said = bounded(checked.output.decode("utf-8", "replace").strip(), 400)
        raise DeborchError(
            ErrorCode.INVALID_SIGNATURE,
            f"{file_name} has no good signature: {said}",
            hint="fetch it and its signature again from where it comes",
        )


async def _signed_text(text: bytes, keys: bytes, keyring: Path, file_name: str) -> bytes:
    """What gpgv found a good signature for."""
    with tempfile.TemporaryDirectory(prefix="deborch-gpgv-") as directory:
        trusted, signed = Path(directory) / "keyring.gpg", Path(directory) / "signed"
        trusted.write_bytes(keys)
        command = ["gpgv", "--keyring", str(trusted), "--output", str(signed), "-"]
        checked = await process.run(command, stdin=text, timeout_s=_TIMEOUT_S, check=False)
        if checked.returncode != 0 or not signed.exists():
            said = bounded(checked.output.decode("utf-8", "replace").strip(), 400)
            raise DeborchError(
                ErrorCode.INVALID_SIGNATURE,
                f"{file_name} has no good signature by a key in {keyring}: {said}",
                hint="sign it with a key of the keyring, or add the signer's key to it",
            )
        return signed.read_bytes()


def _binary_keyring(path: Path) -> bytes:
    """The keys as gpgv reads them: it takes no armour."""
    try:
        return _binary_keys(path.read_bytes())
    except (OSError, ValueError, binascii.Error) as error:
        raise _unusable(path, str(error)) from error


def _binary_keys(content: bytes) -> bytes:
    if _BEGINNING not in content:
        return content
    blocks = [base64.b64decode(b"".join(block["data"].split()), validate=True) for block in _blocks(content)]
    if not blocks:
        raise ValueError("there is no public key")
    return b"".join(blocks)


def _blocks(content: bytes) -> list[re.Match[bytes]]:
    return list(_KEY_BLOCK.finditer(content))


def _unusable(path: Path, why: str) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_SIGNATURE,
        f"the keyring {path} cannot be used: {why}",
        hint="make it with `gpg --export KEY > FILE`, readable for the service",
    )


def _lines(text: bytes) -> list[bytes]:
    """Signatures over clear text do not cover white space at the ends of lines (RFC 9580, section 7.2)."""
    return [line.rstrip() for line in text.rstrip().split(b"\n")]
