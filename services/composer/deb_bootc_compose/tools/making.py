"""A tools root from nothing: mmdebstrap from the archive that the host itself uses."""

import asyncio
import platform
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import orjson

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.tools.recipe import Recipe
from deborch_shared import process
from deborch_shared.apt.host import AptSource, HostApt, read_host_apt
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import OutputSink

ROOT, ROOM, PACKAGES = "root", "room", "packages.json"
"""What is in the directory of a tools root: the file tree, an empty mount point, and what was installed."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TAKES_AT_MOST_S = 1800.0
_ENDED_WITH_US = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_NOT_NEEDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_STEP = b"I: "

Said = Callable[[str], None]


def native_architecture() -> str:
    """Of this machine, in Debian's words where they are known."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


async def make_root(
    recipe: Recipe, directory: Path, *, proxies: Mapping[str, str], on_step: Said, on_output: OutputSink
) -> None:
    """Fill `directory`, which is there and empty.

    Raises:
        DeborchError: FETCH_FAILED if the archive cannot be read, INVALID_SETTING if the host knows none.
    """
    host = await read_host_apt()
    sources = tools_sources(host, recipe.suite)
    if not await asyncio.to_thread(_KEYRING.exists):
        raise failure(
            FailureClass.HOST,
            ErrorCode.INVALID_SETTING,
            f"{_KEYRING} with the keys of Debian's archive does not exist",
            hint="apt-get install debian-archive-keyring",
        )
    on_step(f"making the tools root of {len(recipe.packages)} packages, once")
    follow = _Steps(on_step, on_output)
    command = [*_ENDED_WITH_US, *_mmdebstrap(recipe, directory / ROOT, sources, host.settings)]
    try:
        await process.run(
            command,
            env={**_ENVIRONMENT, **proxies},
            on_output=follow,
            timeout_s=_TAKES_AT_MOST_S,
            grace_s=0.2,
        )
    except DeborchError as error:
        raise _explained(error, recipe) from error
    await asyncio.to_thread(_finish, directory, await _installed(directory / ROOT))


def tools_sources(host: HostApt, suite: str) -> tuple[AptSource, ...]:
    """The suite and its updates, on the archive that the host has for Debian."""
    known = host.sources_of("debian")
    own = [source for source in known if source.suite == suite or source.suite.startswith(f"{suite}-")]
    own = [source for source in own if source.suite in (suite, f"{suite}-updates", f"{suite}-security")]
    if any(source.suite == suite for source in own):
        return tuple(dict.fromkeys(AptSource(source.uri, source.suite, ("main",)) for source in own))
    main = next((source.uri for source in known if "-" not in source.suite), None)
    if main is None:
        raise failure(
            FailureClass.HOST,
            ErrorCode.INVALID_SETTING,
            f"the host's apt sources name no Debian archive to take the tools of {suite} from",
            hint="add a Debian mirror to /etc/apt/sources.list.d",
        )
    return (AptSource(main, suite, ("main",)),)


def _mmdebstrap(recipe: Recipe, root: Path, sources: Iterable[AptSource], settings: Mapping[str, str]) -> list[str]:
    return [
        "mmdebstrap",
        *("--variant=apt", "--mode=root", f"--architectures={recipe.architecture}"),
        f"--include={','.join(recipe.packages)}",
        f"--keyring={_KEYRING}",
        *(f'--aptopt={name} "{value}"' for name, value in settings.items()),
        '--aptopt=Apt::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        "--skip=check/empty",
        recipe.suite,
        str(root),
        *(f"deb [signed-by={_KEYRING}] {one.uri} {one.suite} {' '.join(one.components)}" for one in sources),
    ]


class _Steps:
    """Passes output on, and its headlines as steps."""

    def __init__(self, on_step: Said, on_output: OutputSink) -> None:
        self._on_step, self._on_output, self._rest = on_step, on_output, b""

    def __call__(self, chunk: bytes) -> Awaitable[None] | None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(_STEP):
                self._on_step(f"making the tools root: {line[len(_STEP) :].decode('utf-8', 'replace')[:100]}")
        return self._on_output(chunk)


async def _installed(root: Path) -> dict[str, str]:
    asked = await process.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n"], timeout_s=60
    )
    pairs = (line.partition(" ") for line in asked.output.decode().splitlines())
    return {name: version for name, _, version in pairs}


def _finish(directory: Path, installed: Mapping[str, str]) -> None:
    for name in _NOT_NEEDED:
        shutil.rmtree(directory / ROOT / name, ignore_errors=True)
    (directory / ROOM).mkdir()
    (directory / PACKAGES).write_bytes(orjson.dumps(dict(installed), option=orjson.OPT_SORT_KEYS))


def _explained(error: DeborchError, recipe: Recipe) -> DeborchError:
    if error.fields.get("reason") == "start":
        return failure(
            FailureClass.HOST, ErrorCode.INVALID_SETTING, error.message, hint="apt-get install mmdebstrap util-linux"
        )
    return failure(
        FailureClass.FETCH,
        ErrorCode.FETCH_FAILED,
        f"the tools root of {recipe.suite} could not be made: {str(error.fields.get('output', error.message))[-800:]}",
        hint="check that the host's Debian mirror can be reached and has this suite, then run it again",
    )
