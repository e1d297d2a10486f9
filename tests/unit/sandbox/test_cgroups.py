"""Finding control groups, in each of the forms that hosts have them; and what is read from them."""

import os
from pathlib import Path

import pytest

from deborch_shared.sandbox.cgroups import group as group_module
from deborch_shared.sandbox.cgroups.group import ControlGroup, remove_groups, whole_disk
from deborch_shared.sandbox.cgroups.hierarchies import CONTROLLERS, Findings, Hierarchy, find
from deborch_shared.sandbox.spec import Limits


@pytest.fixture
def host(tmp_path):
    """Makes a /proc/self and cgroup trees: `mounts` are (type, options), `own` is /proc/self/cgroup."""

    def make(own, mounts=()):
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "cgroup").write_text(own)
        lines = []
        for kind, root, name, options in mounts:
            tree = tmp_path / name
            tree.mkdir()
            lines.append(f"30 20 0:26 {root} {tree} rw,nosuid - {kind} {kind} rw,{options}\n")
        (proc / "mountinfo").write_text("".join(lines))
        return proc

    return make


def controllers(tree: Path, *, offered, enabled):
    (tree / "cgroup.controllers").write_text(offered)
    (tree / "cgroup.subtree_control").write_text(enabled)


def test_in_a_unified_hierarchy_root_makes_groups_below_its_root(host, tmp_path):
    proc = host("0::/system.slice/x.service\n", [("cgroup2", "/", "v2", "nsdelegate")])
    (tmp_path / "v2" / "system.slice" / "x.service").mkdir(parents=True)
    controllers(tmp_path / "v2", offered="cpu io memory pids", enabled="cpu io memory pids")
    found = find(proc, euid=0, in_user_namespace=False)
    assert set(found.usable) == set(CONTROLLERS)
    assert {tree.parent for tree in found.usable.values()} == {tmp_path / "v2"}
    assert found.missing == {}


@pytest.mark.parametrize("who", [{"euid": 1000}, {"euid": 0, "in_user_namespace": True}])
def test_another_user_and_its_root_of_a_namespace_make_groups_beside_their_own(host, tmp_path, who):
    proc = host("0::/user/app/mine.scope\n", [("cgroup2", "/", "v2", "nsdelegate")])
    (tmp_path / "v2" / "user" / "app" / "mine.scope").mkdir(parents=True)
    controllers(tmp_path / "v2" / "user" / "app", offered="memory pids", enabled="memory pids")
    found = find(proc, **who)
    assert set(found.usable) == {"memory", "pids"}
    assert found.usable["memory"].parent == tmp_path / "v2" / "user" / "app"
    assert set(found.missing) == {"cpu", "io"}
    assert "systemd-run --user --scope" in found.missing["cpu"]


def test_old_and_new_hierarchies_side_by_side_are_both_used(host, tmp_path):
    proc = host(
        "4:memory:/box\n3:cpu,cpuacct:/\n0::/\n",
        [
            ("cgroup2", "/", "v2", "x"),
            ("cgroup", "/", "memory", "memory"),
            ("cgroup", "/", "cpu", "cpu,cpuacct"),
        ],
    )
    (tmp_path / "memory" / "box").mkdir()
    controllers(tmp_path / "v2", offered="pids", enabled="pids")
    found = find(proc, euid=0, in_user_namespace=False)
    assert found.usable["memory"] == Hierarchy(1, frozenset({"memory"}), tmp_path / "memory" / "box")
    assert found.usable["pids"].version == 2
    assert found.usable["cpu"].parent == tmp_path / "cpu"
    assert set(found.missing) == {"io"}


def test_a_mount_that_shows_a_part_of_the_tree_is_understood(host, tmp_path):
    proc = host("4:memory:/docker/abc/mine\n", [("cgroup", "/docker/abc", "memory", "memory")])
    (tmp_path / "memory" / "mine").mkdir()
    assert find(proc, euid=0, in_user_namespace=False).usable["memory"].parent == tmp_path / "memory" / "mine"


def test_without_cgroups_every_limit_is_missing_with_the_fix(host):
    found = find(host("0::/\n"), euid=0)
    assert (found.usable, found.unified) == ({}, None)
    assert set(found.missing) == set(CONTROLLERS)
    assert "mount" in found.missing["memory"]


def unified(parent: Path) -> Findings:
    tree = Hierarchy(2, frozenset(CONTROLLERS), parent)
    return Findings(dict.fromkeys(CONTROLLERS, tree), tree, {})


def test_counters_of_the_unified_hierarchy_are_read(tmp_path):
    group = ControlGroup("x", Limits(), unified(tmp_path))
    group.create(0)
    (directory,) = group.paths
    for name, content in {
        "cpu.stat": "usage_usec 3500000\nuser_usec 2500000\nsystem_usec 1000000\n",
        "memory.current": "100\n",
        "memory.peak": "200\n",
        "memory.events": "low 0\noom 2\noom_kill 1\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=0 wios=0\n",
        "pids.current": "3\n",
        "pids.events": "max 4\n",
    }.items():
        (directory / name).write_text(content)
    found = group.counters()
    assert (found.cpu_user_s, found.cpu_system_s) == (2.5, 1.0)
    assert (found.memory_bytes, found.memory_peak_bytes, found.oom_kills) == (100, 200, 1)
    assert (found.read_bytes, found.written_bytes) == (11, 22)
    assert (found.pids, found.pids_peak, found.forks_refused) == (3, None, 4)


@pytest.mark.parametrize(
    ("version", "written"),
    [
        (2, {"memory.max": "1000", "memory.swap.max": "0", "pids.max": "7", "cpu.max": "150000 100000"}),
        (1, {"memory.limit_in_bytes": "1000", "pids.max": "7", "cpu.cfs_quota_us": "150000"}),
    ],
)
def test_limits_are_written_as_each_hierarchy_wants_them(tmp_path, monkeypatch, version, written):
    seen = {}
    monkeypatch.setattr(group_module, "_write", lambda path, value: seen.update({path.name: value}))
    tree = Hierarchy(version, frozenset(CONTROLLERS), tmp_path)
    limits = Limits(memory_bytes=1000, pids=7, cpus=1.5)
    ControlGroup("x", limits, Findings(dict.fromkeys(CONTROLLERS, tree), None, {})).create(0)
    assert written.items() <= seen.items()


def test_what_a_host_does_not_count_is_unknown_and_not_zero(tmp_path):
    found = ControlGroup("x", Limits(), Findings({}, None, {})).counters()
    assert found.memory_peak_bytes is None
    assert found.cpu_user_s is None
    assert found.read_bytes is None


async def test_groups_are_removed_with_those_below_them_and_again_without_harm(tmp_path):
    group = tmp_path / "group"
    (group / "below" / "deeper").mkdir(parents=True)
    await remove_groups([group])
    await remove_groups([group])
    assert not group.exists()


def test_the_disk_of_a_partition_is_found(tmp_path):
    disk = tmp_path / "disk"
    (disk / "part").mkdir(parents=True)
    (disk / "dev").write_text("8:0\n")
    (disk / "part" / "dev").write_text("8:1\n")
    (disk / "part" / "partition").write_text("1\n")
    block = tmp_path / "block"
    block.mkdir()
    (block / "8:1").symlink_to(disk / "part")
    assert whole_disk(os.makedev(8, 1), block) == "8:0"
    assert whole_disk(os.makedev(0, 40), block) is None
