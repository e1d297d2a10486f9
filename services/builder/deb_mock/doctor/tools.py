"""Programs of the host, and the keys of archives."""

import asyncio
import shutil
from pathlib import Path

from deb_mock.bases.bootstrap import needs_bootstrap
from deb_mock.bases.making import tool_versions
from deb_mock.doctor.finding import Finding, Status, Subject
from deb_mock.engine_config import Bootstrap
from deborch_shared.errors import DeborchError

_PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "apt-get": "apt",
    "dpkg-source": "dpkg-dev",
    "gpgv": "gpgv",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
DEBIAN = ("bookworm", "trixie", "forky", "sid")
UBUNTU = ("jammy", "noble", "resolute")
_DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_UBUNTU_KEYRING = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")


def programs(_: Subject) -> Finding:
    """What the engine starts on the host."""
    missing = [program for program in _PACKAGES if shutil.which(program) is None]
    if missing:
        packages = " ".join(sorted({_PACKAGES[program] for program in missing}))
        return Finding("programs", Status.PROBLEM, f"missing: {', '.join(missing)}", f"apt-get install {packages}")
    versions = asyncio.run(tool_versions())
    return Finding("programs", Status.OK, ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))


def debian_suites(_: Subject) -> Finding:
    """Whether bases of Debian's suites can be verified and made."""
    fix = "apt-get install debian-archive-keyring"
    return _suites("suites of Debian", DEBIAN, _DEBIAN_KEYRING, Status.PROBLEM, fix)


def ubuntu_suites(_: Subject) -> Finding:
    """The same for Ubuntu's."""
    fix = "only for builds for Ubuntu: apt-get install ubuntu-archive-keyring (package ubuntu-keyring on Ubuntu)"
    return _suites("suites of Ubuntu", UBUNTU, _UBUNTU_KEYRING, Status.WARNING, fix)


def _suites(name: str, suites: tuple[str, ...], keyring: Path, without_keys: Status, fix: str) -> Finding:
    if not keyring.exists() or not keyring.stat().st_size:
        return Finding(name, without_keys, f"{keyring} is missing, which must have signed {', '.join(suites)}", fix)
    try:
        versions = asyncio.run(tool_versions())
    except DeborchError as error:
        return Finding(name, Status.PROBLEM, error.message, error.hint)
    own = [suite for suite in suites if not needs_bootstrap(suite, versions, Bootstrap.AUTO)]
    others = [suite for suite in suites if suite not in own]
    found = f"{', '.join(own)} by this host's apt and dpkg" if own else ""
    if others:
        found += f"{'; ' if own else ''}{', '.join(others)} by the suite's own, which are fetched first"
    return Finding(name, Status.OK, found)
