"""Why apt cannot install what is asked for, in full: names that are nearly right, and the chain of reasons."""

import difflib
import re
from collections.abc import Iterator, Sequence

from deb_bootc_compose.archives.configuration import PrivateApt
from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.apt.faults import FaultKind, fault_in
from deborch_shared.apt.unmet import Why, quarrels, unmet_lines
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_UNKNOWN = re.compile(r"^E: Unable to locate package (?P<name>\S+)", re.MULTILINE)
_NO_CANDIDATE = re.compile(r"^E: Package '(?P<name>[^']+)' has no installation candidate", re.MULTILINE)
_NO_VERSION = re.compile(r"^E: (?P<what>(?:Version|Release) '[^']+' for '(?P<name>[^']+)' was not found)", re.MULTILINE)
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?")
_DEEPEST = 8
_NEAREST = 3
_UNSATISFIED = re.compile(
    r"^\s+(?P<who>[^\s:]+)\S* (?P<kind>Depends|PreDepends|Recommends) on (?P<whom>[^\s:]+).* can't be satisfied!",
    re.MULTILINE,
)
_TRACED = ("-o", "Debug::pkgDepCache::Marker=1", "-o", "Debug::pkgProblemResolver=1")
_SIMULATE = ("apt-get", "-q", "-s")


async def explained(
    apt: PrivateApt, output: str, essential: str, requests: Sequence[str], excluded: Sequence[str]
) -> DeborchError:
    """The error for an `apt-get install` of `essential` and `requests` that said `output`."""
    missing = [match["name"] for match in _UNKNOWN.finditer(output)]
    refused = [match["name"] for match in _NO_CANDIDATE.finditer(output)]
    versions = [match["what"] for match in _NO_VERSION.finditer(output)]
    if missing or refused or versions:
        return await _not_there(apt, missing, refused, versions, excluded)
    chain = await _chain(apt, output, essential, requests, excluded)
    if chain:
        return failure(
            FailureClass.RESOLVE,
            ErrorCode.CONFLICT,
            f"the packages cannot be installed together: {bounded('; '.join(chain))}",
            hint="take out one of those that are at odds, or add the repository that has what is missing",
            chain=chain,
        )
    fault = fault_in(output)
    full = fault is not None and fault.kind is FaultKind.DISK_FULL
    return failure(
        FailureClass.HOST if full else FailureClass.RESOLVE,
        ErrorCode.DISK_FULL if full else ErrorCode.CONFLICT,
        f"apt cannot say what to install: {bounded(output[-800:].strip())}",
        hint="free space where the state directory is" if full else "the end of apt's output says why",
    )


def nothing(architecture: str) -> DeborchError:
    """The error for archives with no packages at all."""
    return failure(
        FailureClass.RESOLVE,
        ErrorCode.NOT_FOUND,
        f"the archives have no packages for {architecture}",
        hint="check suite, components and architecture of the treefile",
    )


async def _not_there(
    apt: PrivateApt, missing: Sequence[str], refused: Sequence[str], versions: Sequence[str], excluded: Sequence[str]
) -> DeborchError:
    known = (await apt.run("apt-cache", "pkgnames")).output.decode("utf-8", "replace").split()
    if not known:
        return nothing(apt.architecture)
    said = [_unknown(name, known) for name in missing]
    said += [await _refused(apt, name, excluded) for name in refused]
    said += [f"{what}{await _available(apt, what)}" for what in versions]
    return failure(
        FailureClass.RESOLVE,
        ErrorCode.NOT_FOUND,
        f"packages: {bounded('; '.join(said))}",
        hint="check names and versions, the components, and whether the repository that has them is in the treefile",
        missing=[*missing, *refused],
    )


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.partition(":")[0], known, n=_NEAREST, cutoff=0.75)
    return f"there is no package {name}" + (f" (near: {', '.join(near)})" if near else "")


async def _refused(apt: PrivateApt, name: str, excluded: Sequence[str]) -> str:
    if name in excluded:
        return f"{name} is in packages and in exclude-packages"
    return f"{name} has no version that may be installed{await _providers(apt, name)}"


async def _providers(apt: PrivateApt, name: str) -> str:
    shown = (await apt.run("apt-cache", "showpkg", name)).output.decode("utf-8", "replace")
    lines = shown.partition("Reverse Provides:")[2].splitlines()
    providers = sorted({line.split()[0] for line in lines if line.strip()})
    return f"; it is provided by {', '.join(providers[:_NEAREST])}" if providers else ""


async def _available(apt: PrivateApt, what: str) -> str:
    name = what.split("'")[3]
    shown = (await apt.run("apt-cache", "madison", name)).output.decode("utf-8", "replace")
    versions = dict.fromkeys(line.split("|")[1].strip() for line in shown.splitlines() if line.count("|") == 2)
    return f" (there is {', '.join(list(versions)[:_NEAREST])})" if versions else ""


async def _chain(
    apt: PrivateApt, output: str, essential: str, requests: Sequence[str], excluded: Sequence[str]
) -> list[str]:
    """From what was asked for down to the relation that cannot be met.

    apt's resolver tells how it came to a package. Of that one apt names the first relation that it cannot meet; asked
    for what that needs as well, it names the next.
    """
    traced = await apt.run(*_SIMULATE, *_TRACED, "install", essential, *requests)
    trace = traced.output.decode("utf-8", "replace")
    known = list(_lines(output, excluded))
    way = [step for step in _way(trace) if not any(line.startswith(step) for line in known)]
    chain = dict.fromkeys(reversed(way))
    if "Conflicts:" not in output and "Breaks:" not in output:
        chain |= dict.fromkeys(quarrels(trace))
    asked = list(requests)
    for _ in range(_DEEPEST):
        chain.update(dict.fromkeys(_lines(output, excluded)))
        deeper = [name for name in _uninstallable(output) if name not in asked]
        if not deeper:
            break
        asked += deeper
        output = (await apt.run(*_SIMULATE, "install", essential, *asked)).output.decode("utf-8", "replace")
    return list(chain)


def _way(trace: str) -> Iterator[str]:
    """Innermost first, as the resolver tells it."""
    for match in _UNSATISFIED.finditer(trace):
        yield f"{match['who']}: {match['kind']}: {match['whom']}"


def _lines(output: str, excluded: Sequence[str]) -> Iterator[str]:
    """apt's own lines, each with the package that it is about."""
    package = ""
    for line in output.partition("The following packages have unmet dependencies:\n")[2].splitlines():
        if not line.startswith(" "):
            return
        owner, colon, rest = line.strip().partition(" : ")
        package = owner if colon else package
        text = " ".join((rest if colon else line).split())
        out = [name for name in excluded if re.search(rf"(?<![\w+.-]){re.escape(name)}(?![\w+.-])", text)]
        yield f"{package}: {text}" + (f" ({out[0]} is in exclude-packages)" if out else "")


def _uninstallable(output: str) -> Iterator[str]:
    for line in unmet_lines(output):
        match = _NAME.match(line.relation)
        if line.why is Why.UNINSTALLABLE and match:
            yield match[0]
