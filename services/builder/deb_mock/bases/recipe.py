"""What goes into a base image, as data: its digest names the base, and mmdebstrap gets its arguments from here."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deb_mock.model import BUILD_UID, BUILD_USER, MAIN_ONLY
from deborch_shared.apt.host import AptSource
from deborch_shared.apt.redaction import has_credentials

_RECIPE_VERSION = 1
_PACKAGES = ("fakeroot", "passwd")
"""Beside build-essential and apt, which mmdebstrap's buildd variant brings: most packages still need fakeroot, and the
build user is made by passwd's programs, which newer versions of mmdebstrap leave out."""
_HTTPS_PACKAGES = ("ca-certificates",)
_BOOTSTRAP_PACKAGES = ("mmdebstrap", "mount", *_HTTPS_PACKAGES)
_APT_SETTINGS = {
    "APT::Install-Recommends": "false",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    "Dpkg::Use-Pty": "false",
}
_CUSTOMIZE = (
    f'chroot "$1" groupadd --gid {BUILD_UID} {BUILD_USER}',
    f'chroot "$1" useradd --uid {BUILD_UID} --gid {BUILD_UID} --no-create-home --home-dir /nonexistent'
    f" --shell /bin/sh {BUILD_USER}",
    'rm -f "$1/var/lib/man-db/auto-update" "$1/etc/resolv.conf" "$1/etc/hostname"',
    'touch "$1/etc/resolv.conf"',
    "printf '127.0.0.1 localhost\\n::1 localhost\\n' > \"$1/etc/hosts\"",
    'printf "#!/bin/sh\\nexit 101\\n" > "$1/usr/sbin/policy-rc.d" && chmod 755 "$1/usr/sbin/policy-rc.d"',
    'rm -f "$1/var/cache/apt/archives/"*.deb',
    'chroot "$1" apt-cache gencaches',
)
"""No daemons start during installs (policy-rc.d), names resolve offline, and apt's package cache is warm."""
_HIDE_SOURCES = 'chmod 0600 "$1"/etc/apt/sources.list.d/*'
"""Where they have a password of the archive: apt, as root, reads it, and builds, which are not root, do not."""
_SKIPPED_CHECKS = "check/qemu"
"""Whether programs of the architecture run was tried already (`foreign.require`); it makes no other base."""
_SKIPPED_STEPS = "check/empty,cleanup/apt/lists,cleanup/apt/cache"


@dataclass(frozen=True, slots=True)
class BaseRecipe:
    """The inputs of one base."""

    suite: str
    architecture: str
    sources: tuple[AptSource, ...]
    settings: Mapping[str, str]
    keyring: Path
    mmdebstrap: str
    """Its version."""
    components: tuple[str, ...] = MAIN_ONLY
    bootstrapped: bool = False
    """Made by the apt and dpkg of the suite itself."""

    @property
    def packages(self) -> tuple[str, ...]:
        needs_https = any(source.uri.startswith("https:") for source in self.sources)
        return _PACKAGES + (_HTTPS_PACKAGES if needs_https else ())

    @property
    def _hooks(self) -> tuple[str, ...]:
        secret = any(has_credentials(source.uri) for source in self.sources)
        return (*_CUSTOMIZE, _HIDE_SOURCES) if secret else _CUSTOMIZE

    def digest(self) -> str:
        """Names everything that makes a difference to the result, but for the state of the archive."""
        tools = _BOOTSTRAP_PACKAGES if self.bootstrapped else ()
        inputs = [_RECIPE_VERSION, asdict(self), self.packages, _APT_SETTINGS, self._hooks, _SKIPPED_STEPS, tools]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def source_lines(self) -> str:
        """sources.list of the base."""
        return "".join(
            f"deb [signed-by={self.keyring}] {source.uri} {source.suite} {' '.join(source.components)}\n"
            for source in self.sources
        )

    def bootstrap_command(self, target: Path, sources_file: Path) -> list[str]:
        """mmdebstrap's argument list for a small root with apt and mmdebstrap of the suite."""
        settings = {**_APT_SETTINGS, **self.settings}
        return [
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            "--format=directory",
            f"--architectures={self.architecture}",
            f"--include={','.join(_BOOTSTRAP_PACKAGES)}",
            *(f'--aptopt={name} "{value}"' for name, value in sorted(settings.items())),
            "--dpkgopt=force-unsafe-io",
            self.suite,
            str(target),
            str(sources_file),
        ]

    def command(self, target: Path, sources_file: Path) -> list[str]:
        """mmdebstrap's argument list, writing a directory tree to `target`."""
        settings = {**_APT_SETTINGS, **self.settings}
        return [
            "mmdebstrap",
            "--mode=root",
            "--variant=buildd",
            "--format=directory",
            f"--architectures={self.architecture}",
            f"--include={','.join(self.packages)}",
            f"--skip={_SKIPPED_STEPS},{_SKIPPED_CHECKS}",
            *(f'--aptopt={name} "{value}"' for name, value in sorted(settings.items())),
            "--dpkgopt=force-unsafe-io",
            *(f"--customize-hook={hook}" for hook in self._hooks),
            self.suite,
            str(target),
            str(sources_file),
        ]
