"""Options that several commands have, and what they mean for the engine."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from deb_mock.cli.configured import current
from deb_mock.configuration import engine_settings
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure
from deb_mock.model import ExtraRepository
from deborch_shared import process
from deborch_shared.apt.host import proxies_of
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
    """What is configured, with what the options that every command has say."""
    config = engine_settings.engine_config(current().settings, proxies_of(os.environ))
    return replace(
        config,
        state_dir=state_dir.absolute(),
        cache_dir=cache_dir.absolute(),
        mirror=config.mirror if mirror is None else mirror,
    )


def results_directory() -> Path:
    """Where results go that are given no place of their own."""
    return (current().settings.result_dir or Path()).absolute()


def read_repository(path: Path) -> ExtraRepository:
    """A .sources file as the engine wants it.

    Raises:
        DeborchError: INVALID_INPUT of class policy if it cannot be read.
    """
    try:
        return engine_settings.repository(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text"
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"the repository {path} cannot be read: {reason}",
            hint="give --extra-repository (or the key repositories) the path of a deb822 .sources file",
        ) from error


def required_codename() -> str:
    """The suite that is configured, or else the host's own.

    Raises:
        DeborchError: INVALID_INPUT if the host does not say which it is.
    """
    suite = current().settings.suite
    if not suite:
        raise DeborchError(
            ErrorCode.INVALID_INPUT, "the host does not say which Debian suite it is", hint="give --suite"
        )
    return suite


async def native_architecture() -> str:
    """The architecture that is configured, or else the host's own, as dpkg names it."""
    configured = current().settings.architecture
    return configured or (await process.run(["dpkg", "--print-architecture"])).output.decode().strip()
