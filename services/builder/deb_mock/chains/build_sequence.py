"""In which order several sources can be built: each after those whose packages it needs. Data in, data out."""

import re
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from deb_mock.failures import FailureClass, failure
from deb_mock.plans.relations import split
from deborch_shared.errors import ErrorCode
from deborch_shared.sources import SourceDescription

_VERSION = re.compile(r"\([^)]*\)")
_ALTERNATIVE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?P<restrictions>.*)\Z")
_RESTRICTION_LIST = re.compile(r"<([^>]*)>")


def needs(sources: Sequence[SourceDescription], profiles: Sequence[str]) -> tuple[frozenset[int], ...]:
    """For each source the numbers of the others whose binary packages its build dependencies name.

    Relations that `profiles` turn off do not count; those for certain architectures always do.
    """
    makers = {binary: number for number, source in enumerate(sources) for binary in source.binaries}
    return tuple(
        frozenset(makers[name] for name in _names(source, profiles) if name in makers) - {number}
        for number, source in enumerate(sources)
    )


def in_order(sources: Sequence[SourceDescription], profiles: Sequence[str]) -> tuple[int, ...]:
    """The numbers of `sources`, so that each comes after those that it needs; otherwise as given.

    Raises:
        DeborchError: INVALID_INPUT if they need each other.
    """
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for number, needed in enumerate(needs(sources, profiles)):
        sorter.add(number, *needed)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = [sources[number].name for number in error.args[1]]
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"these sources need each other: {' -> '.join(reversed(circle))}",
            hint="break the circle with a profile (--profile stage1), or give the order yourself, without --sort",
        ) from None
    found: list[int] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found += ready
        sorter.done(*ready)
    return tuple(found)


def _names(source: SourceDescription, profiles: Sequence[str]) -> set[str]:
    relations = [value for field, value in source.relations.items() if field.startswith("Build-Depends")]
    alternatives = [one.strip() for value in relations for part in split(value) for one in part.split("|")]
    found = (_ALTERNATIVE.match(_VERSION.sub("", one)) for one in alternatives)
    return {match["name"] for match in found if match is not None and _active(match["restrictions"], profiles)}


def _active(formula: str, profiles: Sequence[str]) -> bool:
    """Whether one of the lists holds, each of which wants all its terms (deb-src-control(5))."""
    lists = [terms.split() for terms in _RESTRICTION_LIST.findall(formula)]
    return not lists or any(
        all((term[:1] != "!") == (term.lstrip("!") in profiles) for term in terms) for terms in lists
    )
