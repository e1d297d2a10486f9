"""apt's own account of dependencies that cannot be met, as data. All that depends on its wording is here.

Two forms are read: the list of unmet dependencies at the end, and what the problem resolver says with
`Debug::pkgProblemResolver`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_START = "The following packages have unmet dependencies:"
_LINE = re.compile(r"(?:(?P<package>\S+) : )?(?:(?P<kind>Pre-Depends|Depends|Conflicts|Breaks): )?(?P<rest>\S.*)\Z")
_BUT = re.compile(r"(?P<relation>.+?) but (?P<why>.+?)(?P<more> or)?\Z")
_BROKEN = re.compile(r"^\s*Broken (?P<who>\S+) (?P<kind>Breaks|Conflicts) on (?P<whom>\S+)", re.MULTILINE)


class Why(StrEnum):
    """What apt has against a relation."""

    MISSING = "missing"
    VERSION = "version"
    UNINSTALLABLE = "uninstallable"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class UnmetLine:
    """One relation of one package; with alternatives there is one line for each, `last` on the last of them."""

    package: str
    """Whose relation it is; the first of apt's list is the source package."""
    relation: str
    why: Why
    last: bool = True


def unmet_lines(output: str) -> Iterator[UnmetLine]:
    """The list of unmet dependencies, in apt's order."""
    _, start, explanation = output.partition(_START)
    package = kind = ""
    for line in explanation.splitlines()[1:] if start else []:
        if not line.startswith(" "):
            break
        match = _LINE.match(line.strip())
        if match is None:
            continue
        package, kind = match["package"] or package, match["kind"] or kind
        but = _BUT.match(match["rest"])
        relation = but["relation"] if but else match["rest"]
        yield UnmetLine(package, relation.strip(), _why(kind, but["why"] if but else ""), not (but and but["more"]))


def quarrels(output: str) -> tuple[str, ...]:
    """Who the problem resolver found at odds with whom, each once."""
    found = (f"{match['who']} {match['kind'].lower()} {match['whom']}" for match in _BROKEN.finditer(output))
    return tuple(dict.fromkeys(found))


def _why(kind: str, why: str) -> Why:
    if kind in ("Conflicts", "Breaks"):
        return Why.CONFLICT
    if "not installable" in why or "virtual package" in why:
        return Why.MISSING
    return Why.VERSION if "is to be installed" in why or "is installed" in why else Why.UNINSTALLABLE
