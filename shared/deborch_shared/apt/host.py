"""The host's own apt configuration: where its Debian archive is, and the settings that travel into a base."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)\Z")
_SETTING = re.compile(r'(?P<name>[A-Za-z0-9:._/-]+) "(?P<value>[^"]*)";\Z')
_CARRIED = re.compile(r"Acquire::(?:Check-Valid-Until|Check-Date)\Z", re.IGNORECASE)
_PROXY = re.compile(r"Acquire::(?P<scheme>https?)::Proxy(?:::(?P<host>[^:]+))?\Z", re.IGNORECASE)
_KEYRINGS = {name: re.compile(rf"/{name}-archive-") for name in ("debian", "ubuntu")}
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
_DIRECT = "DIRECT"
_DUMP = ("apt-config", "dump")
_DUMPING_TAKES_AT_MOST_S = 30.0


@dataclass(frozen=True, slots=True)
class AptSource:
    """One URI and suite of a sources file."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class HostApt:
    """What was read."""

    codename: str
    sources: tuple[AptSource, ...]
    settings: Mapping[str, str]
    distribution: str = "debian"
    """Of the host: where a source that names no key belongs."""

    def sources_of(self, distribution: str) -> list[AptSource]:
        """Those that can be the archive of `distribution`: they say so by their keys, or the host is one itself."""
        return [
            source
            for source in self.sources
            if "main" in source.components
            and (
                _KEYRINGS[distribution].search(source.signed_by) is not None
                if source.signed_by
                else self.distribution == distribution
            )
        ]


async def read_host_apt(etc: Path = Path("/etc"), *, settings: Mapping[str, str] | None = None) -> HostApt:
    """Read sources in both formats, the codename, and, if they are not known, the settings that matter elsewhere too.

    Raises:
        DeborchError: INVALID_SETTING if the host has no apt.
    """
    if settings is None:
        settings = carried_settings(await _dump())
    return HostApt(host_codename(etc), tuple(read_sources(etc / "apt")), settings, host_distribution(etc))


def host_codename(etc: Path = Path("/etc")) -> str:
    """The codename of the host's release, such as `bookworm`; empty if it does not say."""
    return _release(etc).get("VERSION_CODENAME", "")


def host_distribution(etc: Path = Path("/etc")) -> str:
    """`ubuntu` for it and what is made of it; anything else counts as Debian."""
    release = _release(etc)
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return "ubuntu" if "ubuntu" in names else "debian"


def _release(etc: Path) -> dict[str, str]:
    """The fields of os-release(5)."""
    path = etc / "os-release"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip().strip("\"'") for name, _, value in pairs}


def carried_settings(dump: str) -> dict[str, str]:
    """The settings of `apt-config dump` that a base needs as well: expiry checks."""
    return {name: value for name, value in _settings(dump) if _CARRIED.match(name)}


def carried_proxies(dump: str) -> dict[str, str]:
    """The proxies of `apt-config dump` as variables that apt obeys: they may hold passwords, so no base has them.

    A proxy for one host only has no such form.
    """
    found = [
        (match["scheme"].lower(), match["host"], value)
        for name, value in _settings(dump)
        if (match := _PROXY.match(name))
    ]
    proxies = {f"{scheme}_proxy": value for scheme, host, value in found if host is None and value != _DIRECT}
    direct = dict.fromkeys(host for _, host, value in found if host is not None and value == _DIRECT)
    return {**proxies, "no_proxy": ",".join(direct)} if direct else proxies


def proxies_of(environment: Mapping[str, str], etc: Path = Path("/etc")) -> dict[str, str]:
    """The proxy variables for apt: those of `environment`, before those of the host's own apt."""
    own = {name: environment[name] for name in _PROXY_VARIABLES if environment.get(name)}
    return {**(carried_proxies(_dump_at_once()) if _has_proxies(etc / "apt") else {}), **own}


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for a step that has no network."""
    return {name: value for name, value in environment.items() if name not in _PROXY_VARIABLES}


def _settings(dump: str) -> Iterator[tuple[str, str]]:
    for line in dump.splitlines():
        match = _SETTING.match(line.strip())
        if match is not None and match["value"]:
            yield match["name"], match["value"]


def _has_proxies(directory: Path) -> bool:
    """Whether it is worth asking apt."""
    files = (path for path in (directory / "apt.conf", *directory.glob("apt.conf.d/*")) if path.is_file())
    return any(b"proxy" in path.read_bytes().lower() for path in files)


def read_sources(directory: Path) -> Iterable[AptSource]:
    """Every enabled binary source of an /etc/apt."""
    lists = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.exists():
            yield from parse_one_line(path.read_text())
    for path in sorted((directory / "sources.list.d").glob("*.sources")):
        yield from parse_deb822(path.read_text())


def parse_one_line(text: str) -> Iterable[AptSource]:
    """The `deb` lines of a sources.list(5)."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if match is not None:
            options = dict(option.partition("=")[::2] for option in (match["options"] or "").split())
            components = tuple(match["components"].split())
            yield AptSource(_resolved(match["uri"]), match["suite"], components, options.get("signed-by", ""))


def parse_deb822(text: str) -> Iterable[AptSource]:
    """The `deb` stanzas of a deb822 sources file."""
    for stanza in Deb822.iter_paragraphs(text.splitlines()):
        if "deb" not in stanza.get("Types", "").split() or stanza.get("Enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in stanza.get("URIs", "").split():
            for suite in stanza.get("Suites", "").split():
                components = tuple(stanza.get("Components", "").split())
                yield AptSource(_resolved(uri), suite, components, stanza.get("Signed-By", "").strip())


def _resolved(uri: str) -> str:
    """The first mirror of a `mirror+file:` list, which a base could not read; anything else as it is."""
    path = Path(uri.removeprefix("mirror+file:"))
    if not uri.startswith("mirror+file:") or not path.exists():
        return uri
    mirrors = [line.split()[0] for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return mirrors[0] if mirrors else uri


def _dump_at_once() -> str:
    """For who wires things before anything runs; empty if there is no apt, which is told once a base is needed."""
    try:
        done = subprocess.run(_DUMP, capture_output=True, timeout=_DUMPING_TAKES_AT_MOST_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


async def _dump() -> str:
    try:
        return (await process.run(list(_DUMP), timeout_s=_DUMPING_TAKES_AT_MOST_S)).output.decode("utf-8", "replace")
    except DeborchError as error:
        raise DeborchError(
            ErrorCode.INVALID_SETTING,
            "apt-config does not work here, so this is no Debian machine",
            hint="run this on Debian 12 or later",
        ) from error
