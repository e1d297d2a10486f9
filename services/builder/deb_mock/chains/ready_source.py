"""What a user named, made ready: a source package on the disk, or only its description."""

from pathlib import Path

from deb_mock.engine import Engine
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.model import BuildRequest, FetchRequest, LogSink, TreeRequest
from deb_mock.sources.arguments import DscFile, SourceArgument, SuiteSource, TreeDirectory
from deb_mock.sources.tree import SourceTree
from deborch_shared.errors import ErrorCode
from deborch_shared.sources import MAX_DSC_BYTES, SourceDescription, parse_dsc


async def make_ready(
    engine: Engine, argument: SourceArgument, request: BuildRequest, directory: Path, *, clean: bool, on_log: LogSink
) -> Path:
    """The .dsc: where it is, or fetched from the suite of `request`, or made of the tree, in `directory`.

    Raises:
        DeborchError: with `failure_class`.
    """
    match argument:
        case DscFile(path):
            return path
        case TreeDirectory(path):
            made = TreeRequest(
                request_id=request.build_id,
                tree=path,
                suite=request.suite,
                architecture=request.architecture,
                result_dir=directory,
                clean=clean,
                extra_sources=request.extra_sources,
                components=request.components,
            )
            return (await engine.make_source(made, on_log=on_log)).dsc
        case SuiteSource(name, version):
            fetched = FetchRequest(
                fetch_id=request.build_id,
                name=name,
                version=version,
                suite=request.suite,
                architecture=request.architecture,
                result_dir=directory,
                components=request.components,
            )
            return (await engine.fetch_source(fetched, on_log=on_log)).dsc


async def describe(
    engine: Engine, argument: SourceArgument, request: BuildRequest, *, on_log: LogSink
) -> SourceDescription:
    """What the source package says of itself. A tree needs no source package for that.

    Raises:
        DeborchError: with `failure_class`.
    """
    if isinstance(argument, TreeDirectory):
        return SourceTree.read(argument.path).description
    async with engine.scratch(request.build_id) as directory:
        dsc = await make_ready(engine, argument, request, directory / "source", clean=False, on_log=on_log)
        return read_description(dsc)


def read_description(dsc: Path) -> SourceDescription:
    """What a .dsc says; its files are not looked at.

    Raises:
        DeborchError: INVALID_SOURCE
    """
    try:
        with failures_are(FailureClass.POLICY), dsc.open("rb") as opened:
            return parse_dsc(opened.read(MAX_DSC_BYTES + 1), file_name=dsc.name)
    except OSError as error:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_SOURCE,
            f"{dsc} cannot be read: {error.strerror}",
            hint="give the path of a .dsc file",
        ) from error
