"""diffoscope of the suite, in a sandbox: what differs between packages of two builds, as a page and as text."""

from collections.abc import Sequence
from pathlib import Path

from deb_mock.builds.tool_runs import ToolRequest
from deb_mock.engine import Engine
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BuildRequest, LogSink
from deb_mock.reproducibility.comparison import ComparedFile
from deborch_shared.errors import ErrorCode, bounded

PAGE, TEXT = "diffoscope.html", "diffoscope.txt"
_DIFFERENT = 1
_MAX_PAGE_BYTES = 20 << 20


async def show_differences(
    engine: Engine,
    request: BuildRequest,
    files: Sequence[ComparedFile],
    directories: tuple[Path, Path],
    target: Path,
    on_log: LogSink,
) -> Path:
    """Write the page and the text about those of `files` that differ into `target`; the place of the page.

    Raises:
        DeborchError: if diffoscope cannot be installed, or ends otherwise than by finding differences.
    """
    shown: list[tuple[Path, str]] = []
    for file in files:
        if not file.is_same and file.first_sha256 and file.second_sha256:
            shown += [(directories[0] / file.name, f"/first/{file.name}")]
            shown += [(directories[1] / file.name, f"/second/{file.name}")]
    argv = ["diffoscope", "--html", PAGE, "--text", TEXT, "--max-report-size", str(_MAX_PAGE_BYTES)]
    argv += ["--exclude-directory-metadata", "yes", "/first", "/second"]
    run = ToolRequest(
        run_id=f"{request.build_id}-diffoscope",
        suite=request.suite,
        architecture=request.architecture,
        packages=("diffoscope-minimal",),
        argv=tuple(argv),
        shown=tuple(shown),
        taken=(PAGE, TEXT),
    )
    result = await engine.run_tool(run, target, on_log=on_log)
    pages = [artifact.path for artifact in result.taken if artifact.name == PAGE]
    if result.returncode != _DIFFERENT or not pages:
        raise failure(
            FailureClass.CHROOT,
            ErrorCode.PROCESS_FAILED,
            f"diffoscope ended with {result.returncode}: {bounded(result.output[-600:])}",
            hint="the packages lie beside each other; compare them by hand",
        )
    return pages[0]
