"""What a build sees around it, made from data: paths, names, variables, and the command that runs in them."""

import re
from collections.abc import Mapping
from dataclasses import replace

from deb_mock.archives.repositories import WORKSPACE
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BUILD_UID, BuildRequest, Surroundings
from deb_mock.plans import build_plan
from deb_mock.sources.package import SourcePackage
from deborch_shared.errors import ErrorCode, bounded
from deborch_shared.sandbox.spec import SandboxSpec

_BUILD_PATH = re.compile(r"(?:/(?!\.\.?/)[A-Za-z0-9.+~_-]+){2,}\Z")
_COVERED = ("build", "home", "mnt", "opt", "root", "srv", "tmp", "usr/src", "var/tmp")
_BUILD_PATH_STARTS = tuple(f"/{name}/" for name in _COVERED)
"""What a workspace may cover of the base: nothing that a build needs is there."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HOSTNAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}\Z")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2}\.[A-Z0-9-]+\Z")
_FAKETIME = (
    "env",
    "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1",
    "NO_FAKE_STAT=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
)
"""Only the clock: make compares times of files, and time limits of tests run on the monotonic clock. ld.so(8) puts
the architecture's directory for $LIB. Of the build alone: utime(NULL) of dpkg-source -x fails under libfaketime."""
_NARROW = ("i386", "armhf", "armel")
"""On a wide kernel `uname -m` would say another machine than the one that is built for (setarch(8))."""
_USUAL_UMASK = 0o022
_WITH_UMASK = 'umask "$0" && exec "$@"'


def check(surroundings: Surroundings) -> None:
    """Refuse what would cover parts of the base, or is no name.

    Raises:
        DeborchError: INVALID_INPUT
    """
    path = surroundings.build_path.rstrip("/") + "/x" * surroundings.build_path.endswith("/")
    if path and (_BUILD_PATH.match(path) is None or not path.startswith(_BUILD_PATH_STARTS)):
        _refuse(f"the build path {bounded(path, 200)!r}", f"it must lie below {', '.join(_BUILD_PATH_STARTS)}")
    if _HOSTNAME.match(surroundings.hostname) is None or _USER.match(surroundings.user) is None:
        _refuse("the name of host or user", "use small letters, digits and -")
    if surroundings.locale and _LOCALE.match(surroundings.locale) is None:
        _refuse(f"the locale {bounded(surroundings.locale, 40)!r}", "use one such as fr_CH.UTF-8")
    if not 1000 <= surroundings.uid < 60_000:
        _refuse(
            f"the user id {surroundings.uid}", "use one from 1000 to 59999, as Debian Policy 9.2 has them for users"
        )
    if not all(_VARIABLE.match(name) and "\0" not in value for name, value in surroundings.environment.items()):
        _refuse("the name of a variable", "use letters, digits and _")


def build_path(package: SourcePackage, surroundings: Surroundings) -> str:
    """Where the source is unpacked: as dpkg-source names it by itself, so that it is the same everywhere."""
    given = surroundings.build_path or f"{WORKSPACE}/"
    return f"{given}{_directory_name(package)}" if given.endswith("/") else given


def applied(spec: SandboxSpec, path: str, surroundings: Surroundings) -> SandboxSpec:
    """`spec` with a workspace that holds `path`, and the names that were asked for."""
    workspace = path.rpartition("/")[0]
    return replace(
        spec,
        workspace=workspace,
        workspace_uid=surroundings.uid,
        hostname=surroundings.hostname,
        scratch_bytes=None if surroundings.on_disk else spec.scratch_bytes,
    )


def tools(surroundings: Surroundings) -> list[str]:
    """Packages that are needed beside the build dependencies."""
    return [
        *(["locales"] if surroundings.locale else []),
        *(["libfaketime"] if surroundings.clock_shift_s else []),
    ]


def preparations(surroundings: Surroundings) -> list[list[str]]:
    """What root inside has to run so that the build's user and locale exist."""
    commands = []
    if surroundings.uid != BUILD_UID:
        uid, user = str(surroundings.uid), surroundings.user
        commands += [
            ["groupadd", "--gid", uid, user],
            ["useradd", "--uid", uid, "--gid", uid, "--no-create-home", "--home-dir", "/nonexistent", user],
        ]
    if surroundings.locale:
        language, _, charset = surroundings.locale.partition(".")
        commands.append(["localedef", "--no-warnings=ascii", "-i", language, "-f", charset, surroundings.locale])
    return commands


def environment(request: BuildRequest) -> dict[str, str]:
    """The variables of the build beside `CLEAN_ENVIRONMENT`: always the same for a request."""
    surroundings = request.surroundings
    own = {
        "USER": surroundings.user,
        "LOGNAME": surroundings.user,
        **build_plan.environment(request),
    }
    if surroundings.locale:
        own |= {"LANG": surroundings.locale, "LC_ALL": surroundings.locale}
    return dict(sorted({**own, **surroundings.environment}.items()))


def command(request: BuildRequest) -> list[str]:
    """The build itself."""
    surroundings = request.surroundings
    build = build_plan.command(request)
    if request.architecture in _NARROW:
        build = ["linux32", *build]
    if surroundings.clock_shift_s:
        build = [*_FAKETIME, f"FAKETIME=+{surroundings.clock_shift_s}", *build]
    if surroundings.cpus:
        build = ["taskset", "--cpu-list", ",".join(map(str, surroundings.cpus)), *build]
    if surroundings.umask != _USUAL_UMASK:
        build = ["sh", "-c", _WITH_UMASK, f"{surroundings.umask:04o}", *build]
    return build


def shown(variables: Mapping[str, str]) -> list[tuple[str, object]]:
    """For the log."""
    return [(name, value) for name, value in variables.items()]


def _directory_name(package: SourcePackage) -> str:
    upstream = package.description.version.partition(":")[2] or package.description.version
    return f"{package.description.name}-{upstream.rpartition('-')[0] or upstream}"


def _refuse(what: str, hint: str) -> None:
    raise failure(FailureClass.POLICY, ErrorCode.INVALID_INPUT, f"{what} cannot be used for a build", hint=hint)
