"""Build profiles: the registered names, and what else each one asks for.

Source: the build profile specification, table "Registered profile names" (https://wiki.debian.org/BuildProfileSpec).
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import ErrorCode, bounded

REGISTERED = frozenset(
    {
        "cross",
        "nobiarch",
        "nocheck",
        "nodoc",
        "nogir",
        "nogolang",
        "noguile",
        "noinsttest",
        "nojava",
        "nolua",
        "noocaml",
        "nopgo",
        "noperl",
        "nopython",
        "noruby",
        "noudeb",
        "nowasm",
        "nowindows",
        "stage1",
        "stage2",
    }
)
IMPLIED_OPTIONS: Mapping[str, str] = MappingProxyType({"nocheck": "nocheck", "nodoc": "nodoc"})
"""Profiles that must be used together with a word in DEB_BUILD_OPTIONS."""
FOR_CROSS = ("cross", "nocheck")
"""Of every cross build: what was built for another machine cannot be tested on this one."""
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*\Z")
_PACKAGE_PROFILE = re.compile(r"pkg(?:\.[a-z0-9+-]+){2,}\Z")


def check(names: Iterable[str]) -> None:
    """Refuse what can be no name of a profile.

    Raises:
        DeborchError: INVALID_INPUT
    """
    for name in names:
        if _NAME.match(name) is None:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                f"{bounded(name, 80)!r} is no build profile",
                hint="one name for each --profile, in lower case, such as nocheck or pkg.hello.nogui",
            )


def unknown(names: Iterable[str]) -> tuple[str, ...]:
    """Names that are neither registered nor of the form pkg.SOURCE.ANYTHING: mostly typing errors."""
    return tuple(name for name in names if name not in REGISTERED and _PACKAGE_PROFILE.match(name) is None)
