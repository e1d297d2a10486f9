"""Where things lie on a disk, what is said when they do not fit, and how GRUB finds its own sectors."""

import errno
import struct
import uuid

import pytest
from tests.unit.deb_bootc_compose.fake_tools import FakeTools

from deb_bootc_compose.full_disk import full_disk_is_told
from deb_bootc_compose.outputs.disk.bootloader import check_architecture, install_bios
from deb_bootc_compose.outputs.disk.plan import MIB, occupied_bytes, plan_disk
from deb_bootc_compose.outputs.disk.space import require_space
from deb_bootc_compose.treefile.outputs import DiskSettings
from deborch_shared.errors import DeborchError, ErrorCode

COMMIT = "c" * 64


def plan(tree_mib=300, commit=COMMIT, bios=True, **settings: int):
    return plan_disk(commit, "amd64", tree_mib * MIB, DiskSettings.model_validate(settings), bios=bios)


def test_partitions_follow_each_other_and_leave_room_for_both_tables():
    made = plan()
    end_mib = 1
    for partition in made.partitions:
        assert partition.start_mib == end_mib
        end_mib += partition.size_mib
    assert made.size_bytes == (end_mib + 1) * MIB


def test_the_root_has_the_tree_and_the_free_space_that_was_asked_for():
    assert plan(300, free_mib=1000).root.size_mib - plan(300, free_mib=100).root.size_mib == 900
    assert plan(300, free_mib=100).root.size_mib >= 400


def test_a_size_that_is_given_is_the_size_of_the_whole_disk():
    assert plan(300, size_mib=2048).size_bytes == 2048 * MIB


def test_a_size_that_is_too_small_is_refused_with_the_one_that_is_needed():
    with pytest.raises(DeborchError, match=r"a disk of 300 MiB is too small: this tree needs \d+ MiB") as caught:
        plan(300, size_mib=300)
    needed = int(caught.value.message.split()[-2])
    assert plan(300, size_mib=needed).size_bytes == needed * MIB
    assert caught.value.fields["failure_class"] == "treefile"


def test_a_disk_without_bios_has_no_partition_for_it():
    assert [partition.name for partition in plan(bios=False).partitions] == ["esp", "root"]


def test_every_name_comes_from_the_commit():
    first, again, other = plan(), plan(), plan(commit="d" * 64)
    assert first.table() == again.table()
    names = {first.disk_uuid, first.root_uuid, *(partition.uuid for partition in first.partitions)}
    others = {other.disk_uuid, other.root_uuid, *(partition.uuid for partition in other.partitions)}
    assert len(names | others) == 10
    assert all(uuid.UUID(name) for name in names)


def test_hard_links_are_counted_once(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10_000)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert occupied_bytes(tmp_path) == 3 * 4096 + 256


async def test_the_first_sector_and_the_core_image_name_the_sectors_of_the_partition(tmp_path):
    def answer(asked):
        if asked.argv[0] == "cp":
            (tmp_path / "boot.img").write_bytes(b"B" * 512)
        elif asked.argv[0] == "grub-mkimage":
            (tmp_path / "core.img").write_bytes(b"C" * 2048)

    made = plan()
    disk = tmp_path / "disk"
    with disk.open("wb") as target:
        target.truncate(made.size_bytes)
    await install_bios(FakeTools(answer), made, disk, tmp_path)
    content = disk.read_bytes()
    assert struct.unpack_from("<Q", content, 0x5C) == (2048,)
    assert content[0x66:0x68] == b"\x90\x90"
    assert content[440:512] == bytes(72)
    core = content[MIB : MIB + 2048]
    assert core[:500] == b"C" * 500
    assert struct.unpack_from("<Q", core, 500) == (2049,)


def test_an_architecture_whose_grub_is_not_here_is_refused():
    check_architecture("amd64", "amd64")
    with pytest.raises(DeborchError, match="disks for arm64 are not made on amd64"):
        check_architecture("arm64", "amd64")
    with pytest.raises(DeborchError, match="disks for riscv64 are not offered") as caught:
        check_architecture("riscv64", "riscv64")
    assert caught.value.fields["failure_class"] == "output"


def test_too_little_space_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(DeborchError, match="MiB are needed") as caught:
        require_space(tmp_path, 1 << 60)
    assert caught.value.code is ErrorCode.DISK_FULL


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        DeborchError(ErrorCode.PROCESS_FAILED, "mkfs", output="mkfs.ext4: No space left on device while writing"),
        DeborchError(ErrorCode.PROCESS_FAILED, "mkfs", output="__populate_fs: Could not allocate block in ext2"),
    ],
)
def test_a_full_disk_is_told_as_such_whoever_noticed_it(tmp_path, error):
    with pytest.raises(DeborchError, match="is full") as caught, full_disk_is_told(tmp_path):
        raise error
    assert caught.value.code is ErrorCode.DISK_FULL
    assert caught.value.fields["failure_class"] == "host"


def test_other_failures_are_passed_on(tmp_path):
    with pytest.raises(PermissionError), full_disk_is_told(tmp_path):
        raise PermissionError
