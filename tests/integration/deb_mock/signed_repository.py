"""A signed APT repository in a directory, and the stanza that names it."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

RELEASE = """\
Origin: test
Suite: test
Codename: test
Architectures: {architecture}
Components: main
Date: Thu, 01 Jan 2026 00:00:00 UTC
SHA256:
 {digest} {size} main/binary-{architecture}/Packages
"""

STANZA = """\
Types: deb
URIs: {uri}
Suites: test
Components: main
Signed-By:
{key}
"""


class SignedRepository:
    """Make it, add packages, sign it; `close` ends the agent of its key."""

    def __init__(self, directory: Path, architecture: str) -> None:
        self.directory = directory
        self._architecture = architecture
        # apart and short: the path of the agent's socket has an end at 107 bytes
        self._home = Path(tempfile.mkdtemp(prefix="gnupg-"))
        (directory / "pool").mkdir(parents=True)
        self._gpg("--quick-generate-key", "test@example.org", "ed25519", "sign", "never")

    def publish(self, *packages: Path) -> None:
        """Add `packages` and sign anew."""
        for package in packages:
            shutil.copy(package, self.directory / "pool")
        index = self.directory / "dists" / "test" / "main" / f"binary-{self._architecture}" / "Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        command = ["dpkg-scanpackages", "--multiversion", "pool"]
        index.write_bytes(subprocess.run(command, cwd=self.directory, check=True, capture_output=True).stdout)
        digest = hashlib.sha256(index.read_bytes()).hexdigest()
        release = RELEASE.format(architecture=self._architecture, digest=digest, size=index.stat().st_size)
        in_release = self.directory / "dists" / "test" / "InRelease"
        in_release.write_bytes(self._gpg("--clear-sign", stdin=release.encode()))

    def stanza(self, uri: str) -> str:
        key = self._gpg("--armor", "--export").decode()
        return STANZA.format(uri=uri, key="\n".join(f" {line or '.'}" for line in key.splitlines()))

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)
        shutil.rmtree(self._home, ignore_errors=True)

    def _gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--homedir", str(self._home), "--passphrase", "", *arguments]
        return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout


def binary_package(directory: Path, name: str, version: str = "1", depends: str = "") -> Path:
    """A .deb of nothing, made without a build."""
    tree = directory / f"{name}-tree"
    (tree / "DEBIAN").mkdir(parents=True)
    needs = f"Depends: {depends}\n" if depends else ""
    fields = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n"
    (tree / "DEBIAN" / "control").write_text(f"{fields}{needs}Description: x\n")
    package = directory / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "-b", tree, package], check=True, capture_output=True)
    return package
