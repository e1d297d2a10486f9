"""Signatures of upstream's tarballs by upstream's key, by policy.

Where upstream's key is: debian/upstream/signing-key.asc; where the signatures are: beside each tarball, as .asc
(dpkg-source(1), Debian Policy 4.11).
"""

import re
from collections.abc import Callable

from deb_mock.engine_config import SignaturePolicy
from deb_mock.failures import FailureClass, failures_are
from deb_mock.sources.package import SourcePackage
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.source_signatures import check_detached_signature

Say = Callable[[str], None]
UPSTREAM_KEY = "debian/upstream/signing-key.asc"
_ORIGINAL = re.compile(r"\.orig(?:-[A-Za-z0-9-]+)?\.tar\.[a-z0-9]+\Z")


async def check_originals(
    package: SourcePackage, upstream_key: bytes | None, policy: SignaturePolicy, say: Say
) -> None:
    """Ask for a good signature of each original tarball by `upstream_key`, as it is in the source package.

    Raises:
        DeborchError: INVALID_SIGNATURE of class policy, if it is required.
    """
    names = {file.name for file in package.description.files}
    for name in sorted(name for name in names if _ORIGINAL.search(name)):
        try:
            if f"{name}.asc" not in names:
                raise _lacking(name, f"{package.dsc.name} lists no {name}.asc")
            if upstream_key is None:
                raise _lacking(name, f"the package has no {UPSTREAM_KEY}")
            signature, tarball = package.directory / f"{name}.asc", package.directory / name
            await check_detached_signature(signature, tarball, upstream_key, file_name=name)
        except DeborchError as error:
            _refuse_or_warn(error, policy, say)
        else:
            say(f"{name} has a good signature by upstream's key")


def _refuse_or_warn(error: DeborchError, policy: SignaturePolicy, say: Say) -> None:
    if policy is SignaturePolicy.REQUIRE:
        with failures_are(FailureClass.POLICY):
            raise error
    say(f"warning: {error.message}")


def _lacking(name: str, why: str) -> DeborchError:
    return DeborchError(
        ErrorCode.INVALID_SIGNATURE,
        f"{name} is not signed by upstream: {why}",
        hint="add upstream's signature and key to the package (uscan does), or set the policy to warn or off",
    )
