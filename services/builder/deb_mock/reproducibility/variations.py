"""What differs between the two builds of a check, as one table: each can be switched on and off by its name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import NoReturn

from deb_mock.failures import FailureClass, failure
from deb_mock.model import Surroundings
from deborch_shared.errors import ErrorCode, bounded

FILE_ORDER = "file-order"
_FAR_AHEAD_S = 398 * 86_400
"""Over a year, and into another month and day of the week."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the host allows."""

    cpus: tuple[int, ...]
    in_memory: bool
    """Whether the files of a build are in memory; else they are on disk already."""
    available_tools: frozenset[str]
    """Of `TOOLS`, what the suite has."""


@dataclass(frozen=True, slots=True)
class Variation:
    """One difference of the second build."""

    name: str
    first: str
    second: str
    apply: Callable[[Surroundings, Machine], Surroundings]
    impossible: Callable[[Machine], str] = lambda _: ""
    """Why it cannot be done here; empty if it can."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The variations of one check, and why others are left out."""

    variations: tuple[Variation, ...]
    left_out: Mapping[str, str]

    def applied(self, surroundings: Surroundings, machine: Machine) -> Surroundings:
        for variation in self.variations:
            surroundings = variation.apply(surroundings, machine)
        return surroundings

    def without(self, name: str, why: str) -> "Chosen":
        """The same but for a variation that turned out not to be one."""
        kept = tuple(variation for variation in self.variations if variation.name != name)
        return self if kept == self.variations else Chosen(kept, {**self.left_out, name: why})


def _with_variables(surroundings: Surroundings, **variables: str) -> Surroundings:
    return replace(surroundings, environment={**surroundings.environment, **variables})


def _needs(tool: str) -> Callable[[Machine], str]:
    return lambda machine: "" if tool in machine.available_tools else f"the suite has no package {tool}"


def _elsewhere(surroundings: Surroundings, _: Machine) -> Surroundings:
    return replace(surroundings, build_path="/build/another-build-path/")


def _another_user(surroundings: Surroundings, _: Machine) -> Surroundings:
    return replace(surroundings, user="somebody", uid=surroundings.uid - 1001)


def _one_cpu(surroundings: Surroundings, machine: Machine) -> Surroundings:
    return replace(surroundings, cpus=machine.cpus[-1:])


def _other_variables(surroundings: Surroundings, _: Machine) -> Surroundings:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/second-build"
    return _with_variables(surroundings, PATH=path, HOME="/nonexistent/second-build", SECOND_BUILD="yes", TERM="xterm")


VARIATIONS: tuple[Variation, ...] = (
    Variation("build-path", "/build/NAME-VERSION", "/build/another-build-path/NAME-VERSION", _elsewhere),
    Variation("hostname", "buildroot", "another-host", lambda around, _: replace(around, hostname="another-host")),
    Variation("user", "builder, uid 59000", "somebody, uid 57999", _another_user),
    Variation("timezone", "UTC", "UTC+14", lambda around, _: _with_variables(around, TZ="XST-14")),
    Variation(
        "locale", "C.UTF-8", "fr_CH.UTF-8", lambda around, _: replace(around, locale="fr_CH.UTF-8"), _needs("locales")
    ),
    Variation("umask", "0022", "0002", lambda around, _: replace(around, umask=0o002)),
    Variation(
        "cpus",
        "all",
        "1",
        _one_cpu,
        lambda machine: "" if len(machine.cpus) > 1 else "this machine has one processor",
    ),
    Variation(
        "time",
        "now",
        "398 days ahead",
        lambda around, _: replace(around, clock_shift_s=_FAR_AHEAD_S),
        _needs("libfaketime"),
    ),
    Variation(
        FILE_ORDER,
        "of a file system in memory",
        "of the disk's",
        lambda around, _: replace(around, on_disk=True),
        lambda machine: "" if machine.in_memory else "builds have their files on disk already (see --tmpfs-mib)",
    ),
    Variation("environment", "few variables", "others, and another PATH and HOME", _other_variables),
)
TOOLS = ("locales", "libfaketime")
_BY_NAME = {variation.name: variation for variation in VARIATIONS}


def choose(wish: str, machine: Machine) -> Chosen:
    """The variations that `wish` asks for: `-NAME` takes one out, `+NAME` and `NAME` put one in; `all` and `none`.

    A wish that begins with a plain name, or `none`, starts from nothing, any other from all that is possible here.

    Raises:
        DeborchError: INVALID_INPUT for a name that is none, or one asked for by name that cannot be done here.
    """
    words = [word.strip() for word in wish.split(",") if word.strip()]
    from_nothing = bool(words) and words[0][0] not in "+-" and words[0] != "all"
    chosen = dict.fromkeys(_BY_NAME, not from_nothing)
    asked = set()
    for word in words:
        if word in ("all", "none"):
            chosen = dict.fromkeys(_BY_NAME, word == "all")
            continue
        name = word.lstrip("+-")
        if name not in _BY_NAME:
            _refuse_unknown(name)
        chosen[name] = not word.startswith("-")
        if chosen[name]:
            asked.add(name)
    return _possible(chosen, asked, machine)


def _possible(chosen: Mapping[str, bool], asked: set[str], machine: Machine) -> Chosen:
    variations, left_out = [], {}
    for name, wanted in chosen.items():
        why = _BY_NAME[name].impossible(machine) if wanted else "not asked for"
        if wanted and why and name in asked:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                f"the variation {name} cannot be made here: {why}",
                hint=f"leave it out: --vary=-{name}",
            )
        if why:
            left_out[name] = why
        else:
            variations.append(_BY_NAME[name])
    return Chosen(tuple(variations), left_out)


def _refuse_unknown(name: str) -> NoReturn:
    nearest: Sequence[str] = get_close_matches(name, _BY_NAME, 1)
    raise failure(
        FailureClass.POLICY,
        ErrorCode.INVALID_INPUT,
        f"there is no variation {bounded(name, 40)!r}{f'; did you mean {nearest[0]}?' if nearest else ''}",
        hint=f"there are: {', '.join(_BY_NAME)}",
    )
