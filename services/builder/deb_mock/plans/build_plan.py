"""What a request means for one source package: command line, environment, version, names. Data in, data out."""

import re
import time
from dataclasses import dataclass

from deb_mock.failures import FailureClass, failure
from deb_mock.model import BuildRequest, ChangedVersion
from deb_mock.plans import profiles
from deborch_shared import versions
from deborch_shared.errors import ErrorCode, bounded
from deborch_shared.sources import SourceDescription
from deborch_shared.versions import without_epoch

_MODE_FLAGS = {"any+all": "-b", "any": "-B", "all": "-A", "source": "-S", "full": "-F"}
MODES_WITH_SOURCE = ("source", "full")
_BINNMU_SUFFIX = re.compile(r"\+b\d+\Z")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,30}\Z")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9=,.+_~:-]*\Z")
_APPENDED = re.compile(r"[A-Za-z0-9.+~]+\Z")
_MAINTAINER = re.compile(r"[^<>\n]+ <[^<>\s]+>\Z")
_DPKG_OPTION = re.compile(r"-[!-~ ]+\Z")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """One request, seen together with the package."""

    request: BuildRequest
    source: SourceDescription

    @property
    def host_architecture(self) -> str:
        """What the packages are for."""
        return self.request.host_architecture or self.request.architecture

    @property
    def version(self) -> str:
        """Of the binary packages."""
        changed = self.request.changed_version
        return changed_version(self.source.version, changed) if changed else self.source.version

    @property
    def changes_name(self) -> str:
        """As dpkg-genchanges' callers name it."""
        name = {"all": "all", "source": "source"}.get(self.request.mode, self.host_architecture)
        return f"{self.source.name}_{without_epoch(self.version)}_{name}.changes"

    @property
    def changelog_entry(self) -> str | None:
        """The entry that makes the version another one, in the form that sbuild and wanna-build use.

        `binary-only=yes` lets dpkg say in the packages which source they are from (deb-changelog(5)).
        """
        changed = self.request.changed_version
        if changed is None or changed.entry:
            return changed.entry if changed else None
        lines = []
        if changed.binnmu is not None:
            lines.append(f"Binary-only non-maintainer upload for {self.host_architecture}; no source changes.")
        if changed.append:
            lines.append(f"Append {changed.append!r} to the version number; no source changes.")
        lines += changed.text.splitlines()
        text = "".join(f"  * {line.strip()}\n" for line in lines if line.strip())
        heading = f"{self.source.name} ({self.version}) {self.request.suite}; urgency=low, binary-only=yes"
        return f"{heading}\n\n{text}\n -- {changed.maintainer}  {_rfc_date(changed.timestamp_s)}\n\n"


def command(request: BuildRequest) -> list[str]:
    """dpkg-buildpackage and its options. -J, because -j would force make to be parallel where it is not able to."""
    names = profiles_of(request)
    return [
        "dpkg-buildpackage",
        "-us",
        "-uc",
        _MODE_FLAGS[request.mode],
        *(["-a", str(request.host_architecture)] if is_cross(request) else []),
        f"-J{request.parallel}",
        *([f"-P{','.join(names)}"] if names else []),
        *request.dpkg_options,
    ]


def environment(request: BuildRequest) -> dict[str, str]:
    """The variables that say how to build."""
    implied = (profiles.IMPLIED_OPTIONS[name] for name in profiles_of(request) if name in profiles.IMPLIED_OPTIONS)
    words = sorted({*request.build_options, *implied})
    if not any(word.startswith("parallel=") for word in words):
        words.insert(0, f"parallel={request.parallel}")
    variables = {"DEB_BUILD_OPTIONS": " ".join(words)}
    if is_cross(request):
        variables["CONFIG_SITE"] = f"/etc/dpkg-cross/cross-config.{request.host_architecture}"
    return variables


def log_name(request: BuildRequest) -> str:
    """As sbuild names it; known before the source is read."""
    changed = request.changed_version
    stem = changed_version(request.dsc.stem, changed) if changed else request.dsc.stem
    return f"{stem}_{request.host_architecture or request.architecture}.build"


def is_cross(request: BuildRequest) -> bool:
    """Whether the packages are for another machine than the one that builds."""
    return request.host_architecture not in (None, request.architecture)


def profiles_of(request: BuildRequest) -> tuple[str, ...]:
    """The profiles asked for, and those of a cross build."""
    implied = profiles.FOR_CROSS if is_cross(request) else ()
    return tuple(dict.fromkeys((*request.profiles, *implied)))


def changed_version(version: str, changed: ChangedVersion) -> str:
    """`version` with +bN (in place of an earlier +bN, as sbuild does) and what is appended."""
    if changed.binnmu is not None:
        version = f"{_BINNMU_SUFFIX.sub('', version)}+b{changed.binnmu}"
    return f"{version}{changed.append}"


def check(request: BuildRequest) -> None:
    """Refuse, before anything is done, what no build can be made of.

    Raises:
        DeborchError: INVALID_INPUT
    """
    profiles.check(request.profiles)
    for architecture in (request.architecture, request.host_architecture or request.architecture):
        _require(_ARCHITECTURE.match(architecture), f"{architecture!r} is no architecture", "see dpkg-architecture -L")
    for word in request.build_options:
        _require(_WORD.match(word), f"{word!r} is no word for DEB_BUILD_OPTIONS", "one word for each --build-option")
    for option in request.dpkg_options:
        _require(
            _DPKG_OPTION.match(option), f"{option!r} is no option", "give options of dpkg-buildpackage, with the -"
        )
    for relation in (*request.add_depends, *request.add_conflicts):
        _require(
            "\n" not in relation and relation.strip(), f"{relation!r} is no relation", "such as 'libfoo-dev (>= 2)'"
        )
    if request.changed_version is not None:
        _check_changed(request, request.changed_version)


def _check_changed(request: BuildRequest, changed: ChangedVersion) -> None:
    _require(
        request.mode not in MODES_WITH_SOURCE,
        "a changed version is for binary packages only",
        "build with --mode any or any+all; for a new source version use dch",
    )
    _require(
        request.mode != "all" or changed.binnmu is None,
        "architecture-independent packages cannot be rebuilt as a binNMU",
        "use --mode any, or upload a new source version",
    )
    _require(
        changed.binnmu is not None or changed.append,
        "the version is not changed",
        "give --binnmu or --append-to-version",
    )
    _require(changed.binnmu is None or changed.binnmu > 0, f"{changed.binnmu} is no number of a binNMU", "count from 1")
    _require(
        changed.binnmu is None or changed.text.strip(),
        "a binNMU needs a reason",
        "give --changelog 'Rebuild against libfoo2'",
    )
    _require(
        not changed.append or (_APPENDED.match(changed.append) and versions.is_valid(f"1{changed.append}")),
        f"{changed.append!r} cannot be part of a version",
        "letters, digits and . + ~ only",
    )
    _require(
        _MAINTAINER.match(changed.maintainer),
        f"{changed.maintainer!r} is no maintainer",
        "give --maintainer 'Name <address>', or set DEBFULLNAME and DEBEMAIL",
    )


def _require(holds: object, problem: str, hint: str) -> None:
    if not holds:
        raise failure(FailureClass.POLICY, ErrorCode.INVALID_INPUT, bounded(problem, 200), hint=hint)


def _rfc_date(timestamp_s: int) -> str:
    """As deb-changelog(5) wants it, whatever the locale."""
    t = time.gmtime(timestamp_s)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02d} {month} {t.tm_year} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"
