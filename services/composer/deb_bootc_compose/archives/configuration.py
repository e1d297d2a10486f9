"""The private configuration of apt: it sees the archives of a compose, and nothing that the host has installed or set.

What is kept of the host's is its way to the network: proxies, passwords of archives (auth.conf), and whether Release
files may be expired.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.treefile.packages import Preference
from deborch_shared import process
from deborch_shared.apt.host import HostApt
from deborch_shared.process import OutputSink, ProcessResult

APT_TAKES_AT_MOST_S = 1800.0
_FIXED = """
Dir::State::extended_states "extended_states";
Dir::Etc "etc";
Dir::Etc::main "none";
Dir::Etc::parts "empty";
Dir::Etc::preferencesparts "empty";
Dir::Etc::sourcelist "none";
Dir::Etc::trusted "none";
Dir::Etc::trustedparts "empty";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "3";
APT::Cmd::Pattern-Only "true";
APT::Get::AllowUnauthenticated "false";
APT::Install-Suggests "false";
APT::Update::Error-Mode "any";
"""


def apt_environment(directory: Path, proxies: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of an apt that is configured by `directory`."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "DEBIAN_FRONTEND": "noninteractive",
        "APT_CONFIG": str(directory / "apt.conf"),
        **proxies,
    }


class PrivateApt:
    """apt with the configuration in `directory`, which whoever made this object removes."""

    def __init__(self, directory: Path, lists: Path, proxies: Mapping[str, str]) -> None:
        self.directory = directory
        self.lists = lists
        """What several configurations share: `lists/`, `cache/`, and the files by whose age apt judges its cache."""
        self.architecture = ""
        self._proxies = proxies

    def configure(
        self,
        archives: Sequence[Archive],
        host: HostApt,
        *,
        architecture: str,
        foreign_architectures: Sequence[str] = (),
        recommends: bool = False,
        preferences: Sequence[Preference] = (),
    ) -> None:
        """Write all of it."""
        self.architecture = architecture
        for name in ("etc/empty", "archives/partial"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for name in ("lists/partial", "cache", "sources"):
            (self.lists / name).mkdir(parents=True, exist_ok=True)
        _write_once(self.lists / "status", "")
        _write_once(self.lists / "sources" / "compose.sources", sources_text(archives))
        (self.directory / "etc/preferences").write_text(preferences_text(preferences))
        architectures = " ".join(f'"{name}";' for name in (architecture, *foreign_architectures))
        settings = {name: value for name, value in host.settings.items() if '"' not in value}
        lines = [
            f'Dir "{self.directory}";',
            f'Dir::State "{self.directory}";',
            f'Dir::State::lists "{self.lists}/lists";',
            f'Dir::State::status "{self.lists}/status";',
            f'Dir::Etc::sourceparts "{self.lists}/sources";',
            f'Dir::Cache "{self.lists}/cache";',
            f'Dir::Cache::archives "{self.directory}/archives";',
            f'APT::Architecture "{architecture}";',
            f"APT::Architectures {{ {architectures} }};",
            f'APT::Install-Recommends "{str(recommends).lower()}";',
            *(f'{name} "{value}";' for name, value in settings.items()),
        ]
        (self.directory / "apt.conf").write_text("\n".join(lines) + _FIXED)

    async def run(self, *argv: str, check: bool = False, on_output: OutputSink | None = None) -> ProcessResult:
        """Run a program of apt."""
        return await process.run(
            argv,
            env=apt_environment(self.directory, self._proxies),
            on_output=on_output,
            timeout_s=APT_TAKES_AT_MOST_S,
            kept_bytes=64 << 20,
            check=check,
        )


def _write_once(path: Path, text: str) -> None:
    """A file that is newer than apt's cache has apt build the cache anew."""
    if not path.exists():
        path.write_text(text)


def sources_text(archives: Sequence[Archive]) -> str:
    """A .sources file (sources.list(5))."""
    return "\n".join(_stanza(archive) for archive in archives)


def _stanza(archive: Archive) -> str:
    if isinstance(archive.signed_by, str):
        signed_by = "".join(f"\n {line or '.'}" for line in archive.signed_by.strip().splitlines())
    else:
        signed_by = " " + ",".join(os.fspath(path) for path in archive.signed_by)
    fields = [
        ("Types", "deb deb-src" if archive.sources else "deb"),
        ("URIs", archive.uri),
        ("Suites", " ".join(archive.suites)),
        ("Components", " ".join(archive.components)),
        ("Check-Valid-Until", "" if archive.check_valid_until else "no"),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields if value) + f"Signed-By:{signed_by}\n"


def preferences_text(preferences: Sequence[Preference]) -> str:
    """A preferences file (apt_preferences(5))."""
    return "\n".join(
        f"Package: {one.package}\nPin: {one.pin}\nPin-Priority: {one.pin_priority}\n" for one in preferences
    )
