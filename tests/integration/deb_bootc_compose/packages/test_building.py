"""The phase `build`, with a builder made for the test and with a command that stands for deb-mock."""

import json
import stat
from pathlib import Path

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import TARGET, Gathering, TinyArchive, make_deb

from deb_bootc_compose.build.command import CommandBuilds
from deb_bootc_compose.build.phase import BuildPhase
from deb_bootc_compose.build.port import BUILDS, BuildOrder, Builds
from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.phases.api import PhaseResult
from deb_bootc_compose.phases.facts import BuildFacts
from deb_bootc_compose.phases.progress import Progress, Silent
from deb_bootc_compose.treefile.packages import BuildSettings, SourceBuild
from deborch_shared.errors import DeborchError, ErrorCode

COMMAND = """#!/usr/bin/python3
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
(here / "arguments.json").write_text(json.dumps(sys.argv[1:]))
print("a line of the log", flush=True)
failure = here / "failure.json"
if failure.exists():
    print(failure.read_text())
    sys.exit(1)
results = pathlib.Path(sys.argv[sys.argv.index("--result-dir") + 1])
shutil.copytree(here / "made", results / "web_2")
print(json.dumps({"source": "web"}))
"""


class Ready(Builds):
    """Has built everything already."""

    def __init__(self, *debs: Path) -> None:
        self.debs = debs

    async def identify(self, order: BuildOrder) -> JsonObject:
        return {one.source: "1" for one in order.sources}

    async def build(self, order: BuildOrder, results: Path, progress: Progress) -> None:
        for deb in self.debs:
            (results / deb.name).write_bytes(deb.read_bytes())
        (results / "web.changes").write_text("")


async def built(gathering: Gathering, builds: Builds) -> PhaseResult:
    work = gathering.work("web", sources=(SourceBuild(source="web"),), services={BUILDS: builds})
    facts = await BuildPhase().run(work)
    return PhaseResult("build", TARGET, "0", facts, work.directory)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    path = tmp_path / "deb-mock"
    path.write_text(COMMAND)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def order(gathering: Gathering, *sources: str, **keys: object) -> BuildOrder:
    chosen = tuple(SourceBuild(source=source) for source in sources)
    return BuildOrder(gathering.treefile("web", sources=chosen, **keys), "tiny-1")


def test_a_treefile_with_nothing_to_build_has_no_such_phase(gathering: Gathering):
    work = gathering.work("web")
    assert not BuildPhase().wanted(work.request, work.treefile)
    with_sources = gathering.treefile("web", sources=(SourceBuild(source="web"),))
    assert BuildPhase().wanted(work.request, with_sources)


async def test_what_is_built_comes_before_a_newer_version_of_the_archive(
    gathering: Gathering, archive: TinyArchive, made: Path
):
    deb = make_deb(made, "web", "0~built1", "amd64", depends="library")
    other = make_deb(made, "web-doc", "0~built1", "riscv64")
    result = await built(gathering, Ready(deb, other))
    assert list(BuildFacts(**result.facts).packages) == [deb.name]
    gathered = await gathering.gather("web", results={"build": result})
    assert gathered.versions["web"] == "0~built1"
    web = next(one for one in gathered.lock.packages if one.name == "web")
    assert web.repository == "built"
    assert str(result.directory) not in gathered.lock_file.read_text()


async def test_what_is_built_comes_before_the_very_same_version_of_the_archive(gathering: Gathering, made: Path):
    theirs = next(one for one in (await gathering.gather("web")).lock.packages if one.name == "web")
    ours = make_deb(
        made,
        "web",
        theirs.version,
        theirs.architecture,
        depends="library (>= 1)",
        recommends="extra",
        bugs="https://our.example",
    )
    gathered = await gathering.gather("web", results={"build": await built(gathering, Ready(ours))})
    web = next(one for one in gathered.lock.packages if one.name == "web")
    assert (web.version, web.repository) == (theirs.version, "built")
    assert web.sha256 != theirs.sha256


async def test_gather_runs_again_when_something_else_was_built(gathering: Gathering, made: Path):
    first = await built(gathering, Ready(make_deb(made, "web", "2", "amd64")))
    inputs = await gathering.inputs("web", results={"build": first})
    second = await built(gathering, Ready(make_deb(made, "web", "3", "amd64")))
    assert await gathering.inputs("web", results={"build": second}) != inputs


async def test_a_link_among_the_results_is_refused(gathering: Gathering):
    class Linking(Ready):
        async def build(self, order: BuildOrder, results: Path, progress: Progress) -> None:
            (results / "web_1_amd64.deb").symlink_to("/etc/shadow")

    with pytest.raises(DeborchError) as caught:
        await built(gathering, Linking())
    assert caught.value.code == ErrorCode.UNSAFE_PATH


async def test_a_source_by_name_is_the_version_that_the_suite_has_now(gathering: Gathering, archive: TinyArchive):
    builds = CommandBuilds(gathering.state)
    first = await builds.identify(order(gathering, "web"))
    sha256 = archive.source("web", "2")
    archive.publish()
    assert list(first) == ["web=1"]
    assert await builds.identify(order(gathering, "web")) == {"web=2": sha256}
    assert await builds.identify(order(gathering, "web=1")) == first


async def test_a_source_that_the_suite_does_not_have_is_named(gathering: Gathering):
    with pytest.raises(DeborchError, match="no source package nothing-such") as caught:
        await CommandBuilds(gathering.state).identify(order(gathering, "nothing-such"))
    assert (caught.value.fields["failure_class"], caught.value.code) == ("build", ErrorCode.NOT_FOUND)


async def test_sources_that_lag_need_a_hub(gathering: Gathering):
    with pytest.raises(DeborchError, match="no hub is asked"):
        await CommandBuilds(gathering.state).identify(order(gathering, "web", build=BuildSettings(lagging=True)))


async def test_the_command_is_told_suite_mirror_and_sources(
    gathering: Gathering, archive: TinyArchive, command: Path, made: Path
):
    make_deb(made, "web", "2", "amd64")
    (gathering.root / "own_1.dsc").write_text("Source: own\n")
    results = gathering.root / "results"
    results.mkdir()
    builds = CommandBuilds(gathering.state, (str(command),))
    await builds.build(order(gathering, "web", "own_1.dsc"), results, Silent())
    arguments = json.loads((command.parent / "arguments.json").read_text())
    assert arguments[0] == "build"
    assert {"web=1", str(gathering.root / "own_1.dsc")} <= set(arguments)
    assert arguments[arguments.index("--suite") + 1] == "trixie"
    assert arguments[arguments.index("--mirror") + 1] == archive.uri
    assert [path.name for path in results.iterdir()] == ["web_2_amd64.deb"]


async def test_what_the_command_says_of_a_failure_is_passed_on(gathering: Gathering, command: Path):
    said = {"code": "build-failed", "message": "the compiler failed", "hint": "see the log", "failure_class": "compile"}
    (command.parent / "failure.json").write_text(json.dumps(said))
    with pytest.raises(DeborchError, match="the compiler failed") as caught:
        await CommandBuilds(gathering.state, (str(command),)).build(order(gathering, "web"), gathering.root, Silent())
    assert (caught.value.fields["failure_class"], caught.value.code) == ("build", ErrorCode.BUILD_FAILED)


async def test_a_build_that_could_not_fetch_is_tried_again(gathering: Gathering, command: Path):
    (command.parent / "failure.json").write_text(json.dumps({"code": "fetch-failed", "message": "no network"}))
    with pytest.raises(DeborchError) as caught:
        await CommandBuilds(gathering.state, (str(command),)).build(order(gathering, "web"), gathering.root, Silent())
    assert (caught.value.fields["failure_class"], caught.value.temporary) == ("fetch-fault", True)
