"""What the engine does with phases: order, records, failures, retries, cancellation, resuming."""

import asyncio
import os
import shutil

import pytest
from tests.unit.deb_bootc_compose.fakes import AMD64, ARM64, FakePhase, Watcher, engine, of_compose, request

from deb_bootc_compose.archives.lists import scratch_directory
from deb_bootc_compose.engine import treefiles_of
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.request import ComposeRequest, ComposeStatus, ComposeType
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.trees import remove_abandoned, staging_place
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolving import native_architecture
from deborch_shared.errors import DeborchError, ErrorCode


def fails(code=ErrorCode.PROCESS_FAILED, times=99, only=None):
    left = [times]

    async def does(work):
        if left[0] and only in (None, work.target):
            left[0] -= 1
            raise failure(FailureClass.TREE, code, "it broke", hint="mend it")

    return does


async def hangs(work):
    await asyncio.sleep(600)


async def test_a_compose_is_laid_out_and_named_as_pungi_does_it(tmp_path):
    async def image(work):
        (work.directory / "disk.raw").write_bytes(b"disk")
        return {"path": "disk.raw", "sha256": "", "size_bytes": 4}

    made = await engine(tmp_path, [FakePhase("output.raw", does=image)]).compose(request(type=ComposeType.NIGHTLY))
    assert made.compose_id == "sample-trixie-20261127.n.0"
    assert made.status is ComposeStatus.FINISHED
    compose = tmp_path / "composes" / made.compose_id
    assert (compose / "COMPOSE_ID").read_text() == f"{made.compose_id}\n"
    assert (compose / "STATUS").read_text() == "FINISHED\n"
    assert (compose / "compose/server/amd64/images/disk.raw").read_bytes() == b"disk"
    assert "output.raw runs" in (compose / "logs/output.raw.server.amd64.log").read_text()
    again = await engine(tmp_path, [FakePhase("a")]).compose(request(type=ComposeType.NIGHTLY))
    assert again.compose_id == "sample-trixie-20261127.n.1"


async def test_trees_and_records_are_for_nobody_else_on_the_machine(tmp_path):
    for place in ("repo", "phases", "cache/tools", "scratch/staging"):
        (tmp_path / place).mkdir(parents=True, mode=0o755)
    await engine(tmp_path, [FakePhase("a")]).compose(request())
    modes = [
        (tmp_path / place).stat().st_mode & 0o777 for place in ("repo", "phases", "cache/tools", "scratch/staging")
    ]
    assert modes == [0o700, 0o700, 0o700, 0o711]


async def test_what_a_killed_download_left_is_removed_and_what_a_living_one_uses_is_not(tmp_path):
    state = State(tmp_path)
    left = staging_place(state) / "debs.0"
    left.mkdir(parents=True)
    async with scratch_directory(state.scratch, "debs") as place:
        for directory in (left, place):
            os.utime(directory, (0, 0))
        assert await remove_abandoned(state) == ["debs.0"]
        assert place.is_dir()
    assert not place.exists()


async def test_an_unchanged_phase_is_not_run_again(tmp_path):
    phases = [FakePhase("gather"), FakePhase("ostree", "gather")]
    await engine(tmp_path, phases).compose(request())
    watcher = Watcher()
    await engine(tmp_path, phases).compose(request(), watcher)
    assert watcher.states() == {"gather": "reused", "ostree": "reused"}
    assert [phase.runs for phase in phases] == [["server.amd64"]] * 2


async def test_a_phase_that_ran_again_with_the_same_facts_changes_nothing_for_those_after_it(tmp_path):
    gather, ostree = FakePhase("gather"), FakePhase("ostree", "gather")
    await engine(tmp_path, [gather, ostree]).compose(request())
    gather.depends_on = "newer lists"
    watcher = Watcher()
    await engine(tmp_path, [gather, ostree]).compose(request(), watcher)
    assert watcher.states() == {"gather": "done", "ostree": "reused"}


async def test_other_facts_or_another_version_run_what_depends_on_them(tmp_path):
    gather, ostree = FakePhase("gather"), FakePhase("ostree", "gather")
    await engine(tmp_path, [gather, ostree]).compose(request())

    async def others(work):
        return {"lock": "another"}

    gather.depends_on, gather.does = 1, others
    await engine(tmp_path, [gather, ostree]).compose(request())
    assert len(ostree.runs) == 2
    ostree.version = 2
    await engine(tmp_path, [gather, ostree]).compose(request())
    assert (len(gather.runs), len(ostree.runs)) == (2, 3)


async def test_force_runs_everything_again_once(tmp_path):
    phases = [FakePhase("gather"), FakePhase("ostree", "gather")]
    targets = (AMD64, ARM64)  # with the same inputs
    await engine(tmp_path, phases, targets).compose(request(workers=1))
    await engine(tmp_path, phases, targets).compose(request(workers=1, force=True))
    assert [len(phase.runs) for phase in phases] == [2, 2]


async def test_damage_to_what_a_phase_left_is_seen_and_made_good(tmp_path):
    phase = FakePhase("gather")
    await engine(tmp_path, [phase]).compose(request())
    (made,) = tmp_path.glob("phases/gather/*/files/made")
    made.write_text("GATHER")
    await engine(tmp_path, [phase]).compose(request())
    assert len(phase.runs) == 2
    assert made.read_text() == "gather"
    (record,) = tmp_path.glob("phases/gather/*/record.json")
    for damage in (record.unlink, lambda: record.write_text("{}"), lambda: shutil.rmtree(made.parent)):
        damage()
        assert (await engine(tmp_path, [phase]).compose(request())).status is ComposeStatus.FINISHED
    assert len(phase.runs) == 5
    phase.is_whole = False  # such as: the commit is not in the repository any more
    await engine(tmp_path, [phase]).compose(request())
    assert len(phase.runs) == 6


async def test_targets_with_the_same_inputs_share_one_run(tmp_path):
    phase = FakePhase("gather")
    await engine(tmp_path, [phase], (AMD64, ARM64)).compose(request(workers=2))
    assert len(phase.runs) == 1


async def test_two_composes_at_once_run_a_phase_once(tmp_path):
    async def slow(work):
        await asyncio.sleep(0.3)

    phase = FakePhase("gather", does=slow)
    results = await asyncio.gather(*(engine(tmp_path, [phase]).compose(request()) for _ in range(2)))
    assert {result.status for result in results} == {ComposeStatus.FINISHED}
    assert len(phase.runs) == 1


async def test_what_is_temporary_is_tried_again_with_longer_waits(tmp_path):
    made = engine(tmp_path, [FakePhase("gather", does=fails(ErrorCode.FETCH_FAILED, times=2))])
    assert (await made.compose(request())).status is ComposeStatus.FINISHED
    assert made.clock.slept_s == [2.0, 10.0]


@pytest.mark.parametrize(
    ("code", "runs"), [(ErrorCode.FETCH_FAILED, 3), (ErrorCode.DISK_FULL, 1), (ErrorCode.PROCESS_FAILED, 1)]
)
async def test_what_does_not_get_better_dooms_the_compose(tmp_path, code, runs):
    phase = FakePhase("gather", does=fails(code))
    result = await engine(tmp_path, [phase]).compose(request())
    assert result.status is ComposeStatus.DOOMED
    assert [error.code for error in result.errors] == [code]
    assert len(phase.runs) == runs
    assert list(tmp_path.glob("phases/*/*")) == list(tmp_path.glob("scratch/staging/*")) == []


async def test_a_failing_target_does_not_end_another_but_nothing_is_promoted(tmp_path):
    promote = of_compose("promote", after=("ostree",))
    phases = [FakePhase("gather", does=fails(only=ARM64)), FakePhase("ostree", "gather"), promote]
    watcher = Watcher()
    made = engine(tmp_path, phases, (AMD64, ARM64))
    phases[0].inputs = _inputs
    phases[1].inputs = _inputs
    result = await made.compose(request(), watcher)
    assert result.status is ComposeStatus.DOOMED
    states = watcher.states()
    assert states["ostree.server.amd64"] == "done"
    assert states["ostree.server.arm64"] == states["promote.None"] == "skipped"
    assert promote.runs == []


async def _inputs(work):
    return {"target": str(work.target)}


async def test_fail_fast_ends_the_others(tmp_path):
    phases = [FakePhase("a", does=fails()), FakePhase("b", does=hangs), FakePhase("c", "b")]
    watcher = Watcher()
    result = await asyncio.wait_for(engine(tmp_path, phases).compose(request(fail_fast=True), watcher), 10)
    assert result.status is ComposeStatus.DOOMED
    assert watcher.states() == {"a": "failed", "b": "canceled", "c": "skipped"}


async def test_without_a_failable_output_the_compose_is_incomplete_and_goes_on(tmp_path):
    raw = FakePhase("output.raw", does=fails(), is_failable=True)
    promote = of_compose("promote", after=("output.*",))
    watcher = Watcher()
    result = await engine(tmp_path, [raw, FakePhase("output.qcow2", "output.raw"), promote]).compose(request(), watcher)
    assert result.status is ComposeStatus.FINISHED_INCOMPLETE
    assert watcher.states() == {"output.raw": "failed", "output.qcow2": "skipped", "promote": "done"}


async def test_a_phase_of_which_the_treefile_limits_the_time_is_ended(tmp_path):
    made = engine(tmp_path, [FakePhase("output.raw", does=hangs)], **{"phase-timeouts-s": {"output": 0.1}})
    result = await made.compose(request())
    assert result.errors[0].fields["failure_class"] == FailureClass.TIMEOUT


async def test_facts_that_are_no_json_are_the_fault_of_their_phase(tmp_path):
    async def wrong(work):
        return {"made": object()}

    for phase in (FakePhase("a", does=wrong), of_compose("b", does=wrong, cacheable=False)):
        result = await engine(tmp_path, [phase]).compose(request())
        assert [error.code for error in result.errors] == [ErrorCode.INTERNAL]


async def test_what_a_plug_in_does_wrong_is_an_error_like_any_other(tmp_path):
    async def bug(work):
        raise KeyError("nothing")

    result = await engine(tmp_path, [FakePhase("a", does=bug)]).compose(request())
    assert "KeyError" in result.errors[0].message
    assert "Traceback" in (result.directory.logs / "a.server.amd64.log").read_text()


async def test_no_more_phases_run_at_once_than_there_are_workers_and_none_beside_an_exclusive_one(tmp_path):
    running: list[str] = []
    seen: list[tuple[str, ...]] = []

    def watched(name):
        async def does(work):
            running.append(name)
            seen.append(tuple(running))
            await asyncio.sleep(0.02)
            running.remove(name)

        return does

    phases = [FakePhase(name, does=watched(name), exclusive=name == "c") for name in "abcdef"]
    await engine(tmp_path, phases).compose(request(workers=3))
    assert max(map(len, seen)) == 3
    assert [beside for beside in seen if "c" in beside] == [("c",)]


async def test_cancellation_ends_all_phases_at_once_and_the_compose_can_be_resumed(tmp_path):
    slow = FakePhase("b", does=hangs)
    phases = [FakePhase("a"), slow, FakePhase("c", does=hangs)]
    watcher = Watcher()
    task = asyncio.create_task(engine(tmp_path, phases).compose(request(workers=3), watcher))
    while not slow.runs or "a" not in watcher.states():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    compose_id = watcher.events[0].compose_id
    assert (tmp_path / "composes" / compose_id / "STATUS").read_text() == "TERMINATED\n"
    assert list(tmp_path.glob("scratch/staging/*")) == []
    for phase in phases:
        phase.does = None
    result = await engine(tmp_path, phases).resume(compose_id)
    assert result.status is ComposeStatus.FINISHED
    assert [len(phase.runs) for phase in phases] == [1, 2, 2]


async def test_resuming_asks_nothing_anew_of_what_is_finished(tmp_path):
    gather, ostree = FakePhase("gather"), FakePhase("ostree", "gather", does=fails())
    first = await engine(tmp_path, [gather, ostree]).compose(request())
    gather.depends_on, ostree.does = "the archive has moved on", None
    result = await engine(tmp_path, [gather, ostree]).resume(first.compose_id)
    assert result.status is ComposeStatus.FINISHED
    assert (len(gather.runs), len(gather.asked)) == (1, 1)


async def test_a_compose_is_not_resumed_with_another_treefile_nor_when_it_is_finished_nor_twice_at_once(tmp_path):
    phases = [FakePhase("a", does=fails())]
    first = await engine(tmp_path, phases).compose(request())
    with pytest.raises(DeborchError) as refused:
        await engine(tmp_path, phases, packages=["vim"]).resume(first.compose_id)
    assert refused.value.code is ErrorCode.PRECONDITION_FAILED
    with first.directory.running(), pytest.raises(DeborchError, match="is running"):
        await engine(tmp_path, phases).resume(first.compose_id)
    phases[0].does = None
    await engine(tmp_path, phases).resume(first.compose_id)
    with pytest.raises(DeborchError, match="is finished"):
        await engine(tmp_path, phases).resume(first.compose_id)


async def test_a_phase_finds_the_results_of_those_before_it(tmp_path):
    seen = {}

    async def look(work):
        seen["one"] = work.results["gather"].facts, (work.results["gather"].directory / "made").read_text()

    async def look_at_all(work):
        seen["all"] = sorted(str(target) for phase, target in work.all_results if phase == "ostree")

    phases = [
        FakePhase("gather"),
        FakePhase("ostree", "gather", does=look),
        of_compose("metadata", "ostree", does=look_at_all),
    ]
    await engine(tmp_path, phases, (AMD64, ARM64)).compose(request())
    assert seen == {"one": ({"made": "gather"}, "gather"), "all": ["server.amd64", "server.arm64"]}


def test_without_an_architecture_a_compose_is_for_this_machine_or_else_for_all(tmp_path):
    path = tmp_path / "sample.yaml"

    def architectures(of_the_treefile: str, *asked_for: str) -> list[str]:
        path.write_text(f"suite: trixie\ncontainer: true\npackages: [apt]\narchitectures: {of_the_treefile}\n")
        found = treefiles_of(ComposeRequest(treefile=path, architectures=asked_for, outputs=(OutputKind.TAR,)))
        assert {treefile.outputs for treefile in found.values()} == {(OutputKind.TAR,)}
        return sorted(target.architecture for target in found)

    native = native_architecture()
    foreign = "riscv64"
    assert architectures(f"[{native}, {foreign}]") == [native]
    assert architectures(f"[{native}, {foreign}]", "*") == sorted([native, foreign])
    assert architectures(f"[{foreign}]") == [foreign]
