"""Options that several commands have, and what they mean for the engine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.defaults import default_tmpfs_bytes
from deb_mock.host_apt import host_codename, proxies_of
from deb_mock.model import EngineConfig, ExtraRepository
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode

EPILOG = (
    "Exit codes: 0 success, 1 compile, 2 wrong usage, 3 policy (bad source, bad input), 4 dep-wait, 5 fetch-fault, "
    "6 chroot-fault, 7 install of build dependencies, 8 timeout, 9 log limit, 10 killed, "
    "11 test, 12 log idle, 13 out of memory, 14 another resource limit, "
    "15 unreproducible, 70 anything else, 130 interrupted."
)
StateDir = Annotated[Path, typer.Option(envvar="DEB_MOCK_STATE_DIR", help="Buildroots in use.")]
CacheDir = Annotated[Path, typer.Option(envvar="DEB_MOCK_CACHE_DIR", help="Bases and dependency layers.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result or the error as JSON on stdout.")]


def engine_config(state_dir: Path, cache_dir: Path, mirror: str | None = None) -> EngineConfig:
    """What the options that every command has say."""
    return EngineConfig(
        state_dir=state_dir.absolute(),
        cache_dir=cache_dir.absolute(),
        mirror=mirror,
        tmpfs_bytes=default_tmpfs_bytes(),
        proxies=proxies_of(os.environ),
    )


def read_repository(path: Path) -> ExtraRepository:
    """A .sources file as the engine wants it."""
    return ExtraRepository(path.stem.lower(), path.read_text())


def required_codename() -> str:
    """The host's own suite.

    Raises:
        DeborchError: INVALID_INPUT if the host does not say which it is.
    """
    codename = host_codename()
    if not codename:
        raise DeborchError(
            ErrorCode.INVALID_INPUT, "the host does not say which Debian suite it is", hint="give --suite"
        )
    return codename


async def native_architecture() -> str:
    """The host's own architecture, as dpkg names it."""
    return (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()
