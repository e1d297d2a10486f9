"""Composes on disk: their ids, what is latest, what can go, what is exported, how two differ."""

import hashlib
import json
import os
import time
from datetime import UTC, datetime

import pytest
from tests.unit.deb_bootc_compose.fake_tools import FakeTools
from tests.unit.deb_bootc_compose.fakes import FakePhase, engine, of_compose, request

from deb_bootc_compose.commits.work_refs import WorkRefs
from deb_bootc_compose.comparison.composes import compare_composes
from deb_bootc_compose.phases.request import ComposeStatus
from deb_bootc_compose.promote.latest import PromoteLatest
from deb_bootc_compose.state.compose_directory import id_prefix, latest_of, make_compose, move_latest, open_compose
from deb_bootc_compose.state.export import export
from deb_bootc_compose.state.garbage import Garbage, Kept, Limits
from deb_bootc_compose.state.inventory import take_inventory
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.quiet import at_work
from deborch_shared.errors import DeborchError, ErrorCode

DAY = datetime(2026, 11, 27, tzinfo=UTC)


def compose_of(state, *, name="sample", days_ago=0.0, status="FINISHED", targets=("server.amd64",)):
    began_at = datetime.fromtimestamp(time.time() - days_ago * 86_400, UTC)
    treefiles = dict.fromkeys(targets, "0")
    description = {"name": name, "treefiles": treefiles, "request": {}, "began_at": began_at.isoformat()}
    return make_compose(state, id_prefix(name, "13", DAY, ".d"), description, status)


def deliver(compose, packages, image=b"image", commit="a" * 64, variant="server"):
    place = compose.place(variant, "amd64")
    (place / "images").mkdir(parents=True)
    rows = [
        {"name": name, "version": version, "architecture": "amd64", "sha256": version, "installed_kib": kib}
        for name, version, kib in packages
    ]
    (place / "packages.json").write_text(json.dumps({"packages": rows}))
    (place / f"images/{compose.compose_id}.raw").write_bytes(image)
    facts = {"commit": commit}
    compose.set_phase(f"ostree.{variant}.amd64", {"phase": "ostree", "state": "done", "facts": facts})


def test_ids_count_respins_and_hold_nothing_that_a_path_may_not(tmp_path):
    state = State(tmp_path)
    assert id_prefix("a b/../c", "1:2~rc", DAY, "") == "a_b_.._c-1_2~rc-20261127"
    assert [compose_of(state).compose_id for _ in range(3)] == [f"sample-13-20261127.d.{n}" for n in range(3)]


@pytest.mark.parametrize("compose_id", ["../../etc", "nothing", "", "a/b", ".hidden"])
def test_no_path_leads_out_of_the_state_directory(tmp_path, compose_id):
    (tmp_path / "composes").mkdir()
    with pytest.raises(DeborchError) as refused:
        open_compose(State(tmp_path), compose_id)
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_latest_moves_to_a_compose_that_is_there_and_can_be_opened_by_that_name(tmp_path):
    state = State(tmp_path)
    first, second = compose_of(state), compose_of(state)
    move_latest(state, "sample", first.compose_id)
    move_latest(state, "sample", second.compose_id)
    assert latest_of(state, "sample") == second.compose_id
    assert open_compose(state, "latest-sample").compose_id == second.compose_id
    with pytest.raises(DeborchError):
        move_latest(state, "sample", "sample-13-20261127.d.9")
    assert [path.name for path in state.composes.glob(".*")] == []


def test_the_list_tells_killed_composes_from_running_ones(tmp_path):
    state = State(tmp_path)
    compose_of(state, status="STARTED")
    running = compose_of(state, status="STARTED")
    with running.running():
        found = take_inventory(state)
    assert [(one.status, one.was_killed, one.is_running) for one in found] == [
        ("DOOMED", True, False),
        ("STARTED", False, True),
    ]


async def test_composes_go_by_count_and_age_but_not_what_runs_is_kept_or_is_latest(tmp_path):
    state = State(tmp_path)
    old = [compose_of(state, days_ago=days) for days in (9, 8, 7, 6)]
    new = [compose_of(state) for _ in range(2)]
    other = compose_of(state, name="other", days_ago=40)
    move_latest(state, "sample", old[0].compose_id)
    (old[1].path / "KEEP").touch()
    with old[2].running():
        planned = await Garbage(state, Limits(keep_composes=2, max_age_days=30), dry_run=True).collect()
        assert old[3].path.exists()
        removed = await Garbage(state, Limits(keep_composes=2, max_age_days=30)).collect()
    assert removed == planned
    assert {item.name for item in removed} == {old[3].compose_id, other.compose_id}
    assert all(compose.path.exists() for compose in (*old[:3], *new))
    assert not old[3].path.exists()


async def test_finished_phases_go_once_no_compose_needs_them_and_they_are_old(tmp_path):
    state = State(tmp_path)
    phase = FakePhase("gather")
    first = await engine(tmp_path, [phase]).compose(request())
    phase.depends_on = 1
    second = await engine(tmp_path, [phase]).compose(request())
    for compose in (first, second):
        (compose.directory.path / "KEEP").touch()
    collector = Listening()
    await Garbage(state, Limits(max_age_days=0)).collect([collector])
    assert len(list(state.records.glob("*/*"))) == 2 == len(collector.kept.facts)
    first.directory.path.rename(tmp_path / "gone")
    assert await Garbage(state, Limits(max_age_days=1)).collect() == []
    removed = await Garbage(state, Limits(max_age_days=0)).collect([collector])
    assert [item.kind for item in removed] == ["phase"]
    assert len(collector.kept.facts) == 1
    await engine(tmp_path, [phase]).compose(request())
    assert len(phase.runs) == 2  # what the kept one needs is still there


class Listening:
    """A collector that removes nothing."""

    async def collect(self, kept, *, dry_run):
        self.kept = kept
        return []


async def test_a_record_that_a_running_compose_holds_stays(tmp_path):
    state = State(tmp_path)
    found = []

    async def look(work):
        gone = await Garbage(state, Limits(keep_composes=1, max_age_days=0)).collect()
        found.extend(item for item in gone if item.kind in {"phase", "compose"})
        assert work.results["gather"].directory.joinpath("made").exists()

    phases = [FakePhase("gather"), FakePhase("ostree", "gather", does=look)]
    result = await engine(tmp_path, phases).compose(request())
    assert (result.errors, found) == ((), [])


async def test_cached_files_go_oldest_first_until_there_is_room_and_linked_ones_cost_nothing(tmp_path):
    state = State(tmp_path)
    state.debs.mkdir(parents=True)
    for age, name in enumerate(("new", "older", "oldest", "linked")):
        path = state.debs / name
        path.write_bytes(os.urandom(1 << 20))
        os.utime(path, (time.time() - 3600 * age,) * 2)
    os.link(state.debs / "linked", tmp_path / "used")
    removed = await Garbage(state, Limits(max_size_bytes=int(1.5 * (1 << 20)))).collect()
    assert [item.name for item in removed] == ["oldest", "older"]


async def test_an_export_has_all_that_is_delivered_and_checksums_that_prove_it(tmp_path):
    compose = compose_of(State(tmp_path / "state"))
    deliver(compose, [("vim", "1", 5)])
    (compose.tree / "SHA256SUMS").write_text("of the images alone\n")
    target = tmp_path / "out"
    for copy in (False, True):
        names = export(compose, target, copy=copy)
    lines = dict(reversed(line.split("  ")) for line in (target / "SHA256SUMS").read_text().splitlines())
    assert set(lines) == set(names) == {"server/amd64/packages.json", f"server/amd64/images/{compose.compose_id}.raw"}
    assert all(hashlib.sha256((target / name).read_bytes()).hexdigest() == digest for name, digest in lines.items())
    assert (target / names[0]).stat().st_ino != (compose.tree / names[0]).stat().st_ino


def test_an_export_goes_nowhere_where_something_else_is(tmp_path):
    compose = compose_of(State(tmp_path / "state"))
    with pytest.raises(DeborchError, match="delivered nothing"):
        export(compose, tmp_path / "out", copy=False)
    deliver(compose, [])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with pytest.raises(DeborchError, match="not empty"):
        export(compose, tmp_path / "out", copy=False)


class FakeTrees:
    """Two trees."""

    async def digests(self, commit):
        trees = {
            "a" * 64: {"/same": "1", "/gone": "2", "/other": "3"},
            "b" * 64: {"/same": "1", "/other": "4", "/new": "5"},
        }
        return trees.get(commit)


async def test_gc_counts_no_bytes_of_a_compose_that_a_record_keeps(tmp_path):
    state = State(tmp_path)
    old, _ = compose_of(state, days_ago=1), compose_of(state)
    deliver(old, [], b"x" * 100_000)
    (image,) = old.place("server", "amd64").glob("images/*")
    (tmp_path / "record").hardlink_to(image)
    (gone,) = await Garbage(state, Limits(keep_composes=1)).collect()
    assert (gone.kind, gone.name) == ("compose", old.compose_id)
    assert gone.size_bytes < 100_000


async def test_the_difference_of_two_composes_has_packages_sizes_and_files(tmp_path):
    state = State(tmp_path)
    before, after = compose_of(state), compose_of(state)
    deliver(before, [("gone", "1", 7), ("vim", "2:9.1", 10), ("same", "1", 1), ("back", "2", 1)])
    deliver(
        after,
        [("new", "1", 3), ("vim", "2:9.10", 14), ("same", "1", 1), ("back", "2~rc", 1)],
        b"larger image",
        "b" * 64,
    )
    (changes,) = await compare_composes(before, after, FakeTrees())
    assert [(one.name, one.change, one.installed_kib) for one in changes.packages] == [
        ("back", "downgraded", 0),
        ("gone", "removed", -7),
        ("new", "added", 3),
        ("vim", "upgraded", 4),
    ]
    assert [(one.name, one.before_bytes, one.after_bytes) for one in changes.sizes] == [("raw", 5, 12)]
    files = [("/gone", "removed"), ("/new", "added"), ("/other", "changed")]
    assert [(one.path, one.change) for one in changes.files] == files
    assert (await compare_composes(before, after))[0].files is None


async def test_two_variants_are_compared_with_each_other_where_each_compose_has_only_one(tmp_path):
    state = State(tmp_path)
    before, after = compose_of(state), compose_of(state, targets=["web.amd64"])
    deliver(before, [("same", "1", 1)])
    deliver(after, [("same", "1", 1), ("nginx", "1", 9)], commit="b" * 64, variant="web")
    (changes,) = await compare_composes(before, after)
    assert (changes.target, changes.commits) == ("server.amd64 -> web.amd64", ("a" * 64, "b" * 64))
    assert [(one.name, one.change) for one in changes.packages] == [("nginx", "added")]
    both = compose_of(state, targets=["server.amd64", "web.amd64"])
    found = [(one.target, one.change) for one in await compare_composes(before, both)]
    assert found == [("server.amd64", None), ("web.amd64", "added")]


async def test_a_phase_of_the_compose_delivers_beside_the_targets(tmp_path):
    async def makes(work):
        return {"path": "made"}

    result = await engine(tmp_path, [of_compose("metadata", does=makes)]).compose(request())
    assert (result.directory.tree / "images/made").read_text() == "metadata"


async def test_commits_of_composes_that_are_gone_are_let_go_unless_a_finished_phase_has_them(tmp_path):
    state = State(tmp_path)
    compose = compose_of(state)
    refs = state.work_repository / "refs/heads/compose"
    for name, commit in ((compose.compose_id, "a"), ("gone-1", "b"), ("gone-2", "c")):
        (refs / name).mkdir(parents=True)
        (refs / name / "server.amd64").write_text(commit * 64)
    tools = FakeTools()

    async def opened():
        return tools

    kept = Kept(frozenset({compose.compose_id}), (("ostree", {"commit": "b" * 64}),))
    async with at_work(state):
        assert await WorkRefs(state, opened).collect(kept, dry_run=False) == []
    removed = await WorkRefs(state, opened).collect(kept, dry_run=False)
    assert [item.name for item in removed] == ["compose/gone-2/server.amd64"]
    assert [asked.argv[1] for asked in tools.asked] == ["refs", "prune"]
    assert await WorkRefs(state, opened).collect(kept, dry_run=True) == removed


async def test_latest_moves_when_a_compose_is_whole_and_not_when_one_is_doomed(tmp_path):
    phases = [FakePhase("ostree"), PromoteLatest()]
    first = await engine(tmp_path, phases).compose(request())
    assert latest_of(State(tmp_path), "sample") == first.compose_id

    async def broken(work):
        raise DeborchError(ErrorCode.PROCESS_FAILED, "no")

    doomed = await engine(tmp_path, [*phases, FakePhase("output.raw", "ostree", does=broken)]).compose(request())
    assert doomed.status is ComposeStatus.DOOMED
    assert latest_of(State(tmp_path), "sample") == first.compose_id
    await engine(tmp_path, phases).compose(request(promote=False))
    assert latest_of(State(tmp_path), "sample") == first.compose_id
