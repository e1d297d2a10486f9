"""Signatures as cosign makes and checks them, with a key pair.

Source: cosign's SIGNATURE_SPEC and containers/image's `sigstoreSigned`: the payload is Red Hat's simple signing
JSON, signed with ECDSA P-256 over SHA-256, kept as the only layer of an image tagged `sha256-DIGEST.sig`.
"""

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deb_bootc_compose.digests import canonical
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.oci.image import CONFIG_TYPE, MANIFEST_TYPE, Descriptor, Layout
from deborch_shared.errors import DeborchError, ErrorCode

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in `path`: PEM, not encrypted, ECDSA.

    Raises:
        DeborchError: INVALID_INPUT if it is anything else; the content is never shown.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise _unusable(path, error.strerror or "cannot be read") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "is no unencrypted PEM key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unusable(path, "is no elliptic curve key")
    return key


def signature_name(manifest_digest: str) -> str:
    """The tag under which a signature of `sha256:...` is looked for."""
    return f"{manifest_digest.replace(':', '-')}.sig"


def add_signature(layout: Layout, image: Descriptor, reference: str, key: ec.EllipticCurvePrivateKey) -> Descriptor:
    """Sign `image`, which will be known as `reference`, and list the signature in the layout beside it."""
    payload = canonical(
        {
            "critical": {
                "identity": {"docker-reference": reference},
                "image": {"docker-manifest-digest": image.digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    )
    signature = base64.b64encode(key.sign(payload, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))).decode()
    layer = layout.add(payload, PAYLOAD_TYPE)
    config = layout.add(
        canonical(
            {"architecture": "", "config": {}, "os": "", "rootfs": {"type": "layers", "diff_ids": [layer.digest]}}
        ),
        CONFIG_TYPE,
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.as_json(),
        "layers": [{**layer.as_json(), "annotations": {SIGNATURE_ANNOTATION: signature}}],
    }
    descriptor = layout.add(canonical(manifest), MANIFEST_TYPE)
    layout.name(descriptor, signature_name(image.digest))
    return descriptor


def _unusable(path: Path, why: str) -> DeborchError:
    return failure(
        FailureClass.OUTPUT,
        ErrorCode.INVALID_INPUT,
        f"the signing key {path.name} {why}",
        hint="give an ECDSA P-256 private key in PEM: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        key="oci.sign",
    )
