"""The host's own apt configuration: where its Debian archive is, and the settings that travel into a base."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.failures import FailureClass, failure
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)\Z")
_SETTING = re.compile(r'(?P<name>[A-Za-z0-9:._/-]+) "(?P<value>[^"]*)";\Z')
_CARRIED = re.compile(r"Acquire::(?:Check-Valid-Until|Check-Date|https?::Proxy(?:::[^:]+)?)\Z", re.IGNORECASE)
_DEBIAN_KEYRINGS = re.compile(r"/debian-archive-[a-z0-9-]*keyring|/debian-archive-")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class AptSource:
    """One URI and suite of a sources file."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def may_be_debian(self) -> bool:
        """Not if it has no `main`, or says that somebody else signs it."""
        own_key = not self.signed_by or _DEBIAN_KEYRINGS.search(self.signed_by) is not None
        return "main" in self.components and own_key


@dataclass(frozen=True, slots=True)
class HostApt:
    """What was read."""

    codename: str
    sources: tuple[AptSource, ...]
    settings: Mapping[str, str]

    def archive(self, suite: str, mirror: str | None, components: tuple[str, ...] = ("main",)) -> tuple[AptSource, ...]:
        """The sources of `suite` for a base.

        With `mirror`, only the suite itself on it. Without, what the host uses for its own suite, its updates and
        security; for another suite, that suite on the host's archive.

        Raises:
            DeborchError: INVALID_SETTING if the host has no Debian archive among its sources.
        """
        if mirror is not None:
            return (AptSource(mirror, suite, components),)
        debian = [source for source in self.sources if source.may_be_debian()]
        own = [source for source in debian if source.suite in (suite, f"{suite}-updates", f"{suite}-security")]
        if any(source.suite == suite for source in own):
            return tuple(AptSource(source.uri, source.suite, components) for source in own)
        for source in debian:
            if source.suite == self.codename or source.signed_by:
                return (AptSource(source.uri, suite, components),)
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.INVALID_SETTING,
            f"the host's apt sources name no Debian archive for {suite}",
            hint="give the URI of a Debian mirror in the mirror setting (--mirror)",
        )


async def read_host_apt(etc: Path = Path("/etc"), *, settings: Mapping[str, str] | None = None) -> HostApt:
    """Read sources in both formats, the codename, and, if they are not known, the settings that matter elsewhere too.

    Raises:
        DeborchError: INVALID_SETTING if the host has no apt.
    """
    if settings is None:
        settings = carried_settings(await _dump())
    return HostApt(host_codename(etc), tuple(read_sources(etc / "apt")), settings)


def host_codename(etc: Path = Path("/etc")) -> str:
    """The codename of the host's release, such as `bookworm`; empty if it does not say."""
    release = etc / "os-release"
    if release.exists():
        for line in release.read_text().splitlines():
            name, _, value = line.partition("=")
            if name == "VERSION_CODENAME":
                return value.strip().strip('"')
    return ""


def carried_settings(dump: str) -> dict[str, str]:
    """The settings of `apt-config dump` that a base needs as well: expiry checks and proxies."""
    found = (_SETTING.match(line.strip()) for line in dump.splitlines())
    return {
        match["name"]: match["value"] for match in found if match and match["value"] and _CARRIED.match(match["name"])
    }


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables among `environment`, which apt obeys."""
    return {name: environment[name] for name in _PROXY_VARIABLES if environment.get(name)}


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


async def _dump() -> str:
    try:
        return (await process.run(["apt-config", "dump"], timeout_s=30)).output.decode("utf-8", "replace")
    except DeborchError as error:
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.INVALID_SETTING,
            "apt-config does not work here, so this is no Debian machine",
            hint="run the builder on Debian 12 or later",
        ) from error
