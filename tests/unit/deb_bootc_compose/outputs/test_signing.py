"""Signatures of images, as cosign has them."""

import base64
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.outputs.oci.image import MANIFEST_TYPE, Layout
from deb_bootc_compose.outputs.oci.signing import SIGNATURE_ANNOTATION, add_signature, load_key
from deborch_shared.errors import DeborchError


def written_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def signed(root: Path, key: ec.EllipticCurvePrivateKey) -> tuple[Layout, str, JsonObject]:
    layout = Layout(root)
    image = layout.add(b'{"an": "image"}', MANIFEST_TYPE)
    signature = add_signature(layout, image, "registry.example/debian/minimal", key)
    return layout, image.digest, orjson.loads(layout.read(signature.digest))


def test_a_signature_names_the_manifest_and_can_be_checked_with_the_public_key(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    layout, digest, manifest = signed(tmp_path, load_key(written_key(tmp_path / "key.pem", key)))

    (layer,) = manifest["layers"]
    payload = layout.read(layer["digest"])
    signature = base64.b64decode(layer["annotations"][SIGNATURE_ANNOTATION])
    key.public_key().verify(signature, payload, ec.ECDSA(hashes.SHA256()))
    critical = orjson.loads(payload)["critical"]
    assert critical["image"]["docker-manifest-digest"] == digest
    assert critical["identity"]["docker-reference"] == "registry.example/debian/minimal"
    index = orjson.loads((tmp_path / "index.json").read_bytes())
    assert (
        index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == digest.replace(":", "-") + ".sig"
    )


def test_signing_twice_gives_the_same_signature(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    assert signed(tmp_path / "a", key)[2] == signed(tmp_path / "b", key)[2]


def test_a_key_that_cannot_sign_is_refused_with_what_to_do_and_without_its_content(tmp_path: Path) -> None:
    other = written_key(tmp_path / "rsa.pem", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN SECRET-----")

    for path in (other, garbage, tmp_path / "missing.pem"):
        with pytest.raises(DeborchError, match=path.name) as refused:
            load_key(path)
        assert "openssl genpkey" in refused.value.hint
        assert "SECRET" not in refused.value.message
