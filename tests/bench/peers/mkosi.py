"""mkosi of Debian, as a peer: the same packages into a directory, from its own cache of .debs."""

import json
import shutil
import subprocess
import time
from pathlib import Path

_TIMEOUT_S = 1800
_SAID_CHARACTERS = 300


class Mkosi:
    """`why_not` says why it cannot be measured here; None: it can."""

    def __init__(self, work: Path, gathered: Path) -> None:
        self._work = work
        lock = json.loads((gathered / "lock.json").read_bytes())
        self._packages = sorted({one["name"] for one in lock["packages"]})
        self._suite = lock["suite"]
        self._mirror = next(one["uri"] for one in lock["repositories"] if one.get("uri"))
        self.why_not: str | None = None
        if shutil.which("mkosi") is None:
            self.why_not = "mkosi is not installed"
            return
        work.mkdir()
        print("warming mkosi's cache", flush=True)
        try:
            self.build_s()
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "output", "") or error)
            self.why_not = f"mkosi does not run here: {said.strip().splitlines()[-1][:_SAID_CHARACTERS]}"

    def build_s(self) -> float:
        """Seconds of one build; the result is removed."""
        # a /run of its own, and no unit asked of systemd: nspawn runs where no systemd does
        private = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs tmpfs /run && mkdir /run/systemd && exec "$@"',
            "sh",
        ]
        command = [
            *private, "mkosi", "--distribution=debian", f"--release={self._suite}", f"--mirror={self._mirror}",
            "--format=directory", "--bootable=no", "--base-packages=no", "--nspawn-keep-unit=yes", "--force",
            f"--cache={self._work / 'cache'}", f"--output={self._work / 'out'}",
            *(f"--package={name}" for name in self._packages), "build",
        ]  # fmt: skip
        began_s = time.monotonic()
        subprocess.run(command, cwd=self._work, check=True, timeout=_TIMEOUT_S, capture_output=True, text=True)
        taken_s = time.monotonic() - began_s
        shutil.rmtree(self._work / "out")
        return taken_s
