"""A real OpenPGP key that signs, for tests of who may sign what."""

import subprocess
from pathlib import Path


class Signer:
    """A key of its own; `close` ends its agent."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._home = home
        self.gpg("--quick-generate-key", f"{home.name}@example.org", "ed25519", "sign", "never")
        self.keyring = home / "keyring.gpg"
        self.keyring.write_bytes(self.gpg("--export"))

    def gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--batch", "--homedir", str(self._home), "--passphrase", "", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def sign(self, path: Path) -> None:
        path.write_bytes(self.gpg("--clear-sign", "--output", "-", str(path)))

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)
