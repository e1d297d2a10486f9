"""The archive that bases are made from, and whether this host's clock agrees with it."""

import asyncio
import time
from email.utils import parsedate_to_datetime

from debian.deb822 import Deb822

from deb_mock.archives.archive import archive_sources
from deb_mock.archives.release import read_releases
from deb_mock.doctor.finding import Finding, Status, Subject, scratch_directory
from deb_mock.model import MAIN_ONLY
from deborch_shared.apt.host import read_host_apt
from deborch_shared.apt.redaction import redacted
from deborch_shared.apt.releases import release_url
from deborch_shared.errors import DeborchError

_WRONG_CLOCK_S = 300.0
_SET_THE_CLOCK = "set the clock (timedatectl set-ntp true)"
_BEGIN_OF_FIELDS = ("Origin:", "Label:", "Suite:", "Date:", "Codename:")


def archive(subject: Subject) -> Finding:
    """Whether apt can read the Release file of the suite, and takes it by this host's clock."""
    try:
        host = asyncio.run(read_host_apt())
        source = archive_sources(host, subject.config, subject.suite or "sid", MAIN_ONLY)[0]
    except DeborchError as error:
        return Finding("archive", Status.PROBLEM, error.message, error.hint)
    url = release_url(source.uri.removeprefix("copy:"), source.suite)
    shown = redacted(url)
    started_s = time.monotonic()
    with scratch_directory(subject.config.state_dir) as place:
        contents = asyncio.run(read_releases([url], place, subject.config.proxies))
    if contents is None:
        fix = "check the network, the proxy variables and apt's sources (apt-get update tells more), or give --mirror"
        return Finding("archive", Status.PROBLEM, f"{shown} cannot be read, so no base can be made or renewed", fix)
    found = f"{shown} read in {(time.monotonic() - started_s) * 1000:.0f} ms"
    return by_the_clock(found, contents[0].decode("utf-8", "replace"), time.time())


def by_the_clock(found: str, release: str, now_s: float) -> Finding:
    """apt refuses an archive of the future, and one that has expired."""
    lines = release.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith(_BEGIN_OF_FIELDS)), 0)
    fields = Deb822(lines[begin:])
    made_s, until_s = (_seconds(str(fields.get(name, ""))) for name in ("Date", "Valid-Until"))
    if made_s is not None and made_s > now_s + _WRONG_CLOCK_S:
        return Finding(
            "archive", Status.PROBLEM, f"{found}; it is from the future by this host's clock", _SET_THE_CLOCK
        )
    if until_s is not None and until_s < now_s:
        fix = f'{_SET_THE_CLOCK}, or, for an archive of the past, Acquire::Check-Valid-Until "false"; in apt.conf(5)'
        return Finding("archive", Status.WARNING, f"{found}; it has expired by this host's clock", fix)
    return Finding("archive", Status.OK, found)


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
