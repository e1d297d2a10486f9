"""Source packages from a Debian suite, by apt inside a buildroot: Release signature, Sources, .dsc, files."""

import asyncio
import os
import re

from deb_mock.archives import apt_output
from deb_mock.archives.archive import archive_sources
from deb_mock.archives.repositories import WORKSPACE, put_file
from deb_mock.buildroots.buildroot import Buildroots, check_name
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.model import Base, FetchRequest, FetchResult, LogSink
from deb_mock.results.directory import ResultDirectory
from deb_mock.stages.steps import Steps
from deborch_shared import versions
from deborch_shared.apt.host import read_host_apt
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sources import MAX_DSC_BYTES, parse_dsc

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_SOURCES_FILE = "deborch-sources.list"
_MISSING = ("Unable to find a source package", "Can not find version", "Unable to locate package")


def check(request: FetchRequest) -> None:
    """Refuse what is no source package name or version, before apt sees it.

    Raises:
        DeborchError: INVALID_INPUT
    """
    check_name(request.fetch_id)
    if _NAME.match(request.name) is None or (request.version is not None and not versions.is_valid(request.version)):
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"{request.name!r} {request.version or ''} is no source package name or version",
            hint="give NAME or NAME=VERSION as in the archive",
        )


class SourceFetcher:
    """Fetches source packages."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._config = config
        self._buildroots = buildroots

    async def fetch(self, base: Base, request: FetchRequest, results: ResultDirectory, on_log: LogSink) -> FetchResult:
        """Fetch into `results` and publish it.

        Raises:
            DeborchError: NOT_FOUND, or FETCH_FAILED if the archive cannot be read or verified.
        """
        steps = Steps(on_log, None)
        async with open_sandbox(self._buildroots.spec(request.fetch_id, base)) as sandbox:
            await self._read_index(sandbox, base, steps)
            wanted = request.name if request.version is None else f"{request.name}={request.version}"
            only = ["-o", f"Dir::Etc::SourceList={WORKSPACE}/{_SOURCES_FILE}", "-o", "Dir::Etc::SourceParts=-"]
            command = ["apt-get", "-q", *only, "source", "--download-only", "--only-source", wanted]
            await self._run(sandbox, steps, command, f"fetching {wanted}")
            return await asyncio.to_thread(take_source, sandbox.workspace_fd, results)

    async def _read_index(self, sandbox: Sandbox, base: Base, steps: Steps) -> None:
        with failures_are(FailureClass.CHROOT):
            host = await read_host_apt()
        lines = (
            f"deb-src [signed-by={self._config.keyring}] {source.uri} {source.suite} {' '.join(source.components)}\n"
            for source in archive_sources(host, self._config, base.suite, base.components)
        )
        put_file(sandbox, _SOURCES_FILE, "".join(lines).encode())
        only = ["-o", f"Dir::Etc::SourceList={WORKSPACE}/{_SOURCES_FILE}", "-o", "Dir::Etc::SourceParts=-"]
        await self._run(
            sandbox,
            steps,
            ["apt-get", "-q", *apt_output.STRICT_UPDATE, *only, "update"],
            "reading the index of sources",
        )

    async def _run(self, sandbox: Sandbox, steps: Steps, argv: list[str], doing: str) -> None:
        environment = {**apt_output.APT_ENVIRONMENT, **self._config.proxies}
        as_root = [argv[0], "-o", "APT::Sandbox::User=root", *argv[1:]]
        result = await steps.run(sandbox, as_root, cwd=WORKSPACE, env=environment, network=True, check=False)
        if result.returncode == 0:
            return
        output = result.output.decode("utf-8", "replace")
        if any(sign in output for sign in _MISSING):
            raise failure(
                FailureClass.POLICY,
                ErrorCode.NOT_FOUND,
                f"{doing}: the suite has no such source package or version",
                hint="rmadison or the suite's package tracker lists what there is",
            )
        raise apt_output.explain(output, doing=doing, otherwise=FailureClass.FETCH)


def take_source(workspace_fd: int, results: ResultDirectory) -> FetchResult:
    """Copy the one .dsc of a workspace and the files that it lists into `results`, and publish them.

    Raises:
        DeborchError: FETCH_FAILED if there is not exactly one.
    """
    names = [name for name in os.listdir(workspace_fd) if name.endswith(".dsc")]
    if len(names) != 1:
        raise failure(
            FailureClass.FETCH,
            ErrorCode.FETCH_FAILED,
            f"there are {len(names)} .dsc files instead of one",
            hint="see the end of the log",
        )
    dsc = results.take(workspace_fd, names[0])
    text = (results.unfinished / dsc.name).read_bytes()[: MAX_DSC_BYTES + 1]
    description = parse_dsc(text, file_name=dsc.name)
    files = [results.take(workspace_fd, file.name, sha256=file.sha256) for file in description.files]
    results.publish()
    return FetchResult(description.name, description.version, dsc.path, tuple(file.path for file in files))
