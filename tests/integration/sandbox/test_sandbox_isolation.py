"""What a command in a sandbox sees, may do, and cannot."""

import asyncio
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.spec import Bind

USER = 59_000
BOTH = pytest.mark.parametrize("uid", [0, USER], ids=["root", "user"])


async def said(spec, script, *, uid=USER, env=None, network=False):
    async with open_sandbox(spec) as sandbox:
        result = await sandbox.run(
            ["/bin/sh", "-c", script], uid=uid, env=env, network=network, check=False, timeout_s=20
        )
    return result.output.decode()


@BOTH
async def test_only_its_own_processes_are_seen(spec, uid):
    assert (await said(spec, "echo /proc/[0-9]*", uid=uid)).split() == ["/proc/1", "/proc/2"]


@BOTH
async def test_no_mount_of_the_host_is_seen(spec, uid, tmp_path):
    targets = [line.split()[4] for line in (await said(spec, "cat /proc/self/mountinfo", uid=uid)).splitlines()]
    assert {target.split("/")[1] for target in targets} == {"", "usr", "build", "proc", "sys", "dev"}


@BOTH
@pytest.mark.parametrize(
    "attempt",
    [
        "mount -t tmpfs none /tmp",
        "mknod /tmp/disk b 8 0",
        "echo 1 > /proc/sys/kernel/panic",
        "echo c > /proc/sysrq-trigger",
        "mkdir /sys/fs/cgroup/evil",
        "hostname evil",
        "echo x > /usr/evil",
        "ip link set lo down",
        "chroot /proc/1/root /bin/true && test -e /root/.bashrc",
        "dmesg -c",
        "readlink /proc/1/fd/0",
        "ls /proc/1/root/ | grep .",
        "cp /bin/true /dev/shm/run && /dev/shm/run && unshare -r mknod /dev/shm/disk b 8 0",
        "unshare -rm umount /proc/sys",
        "unshare -rmpf mount -t proc proc /proc",
        "unshare -rm sh -c 'mount -o remount,bind,rw /proc/sys; echo 1 > /proc/sys/kernel/panic'",
    ],
)
async def test_it_cannot(spec, uid, attempt):
    assert (await said(spec, f"({attempt}) 2>/dev/null && echo DID IT; true", uid=uid)) == ""


@BOTH
async def test_every_namespace_is_its_own(spec, ids, uid):
    kinds = ("mnt", "pid", "ipc", "uts", "net", "cgroup") + (("user",) if ids else ())
    lines = (await said(spec, f"readlink {' '.join(f'/proc/self/ns/{kind}' for kind in kinds)}", uid=uid)).split()
    assert [line.partition(":")[0] for line in lines] == list(kinds)
    for kind, line in zip(kinds, lines, strict=True):
        assert line != str(Path(f"/proc/self/ns/{kind}").readlink())


@BOTH
async def test_it_sees_the_root_of_its_control_groups_only(spec, uid):
    lines = (await said(spec, "cat /proc/self/cgroup", uid=uid)).splitlines()
    used = {line.rpartition(":")[2] for line in lines}
    assert "/" in used
    assert not any("deborch" in path or "box" in path for path in used)


@BOTH
@pytest.mark.parametrize("name", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"])
async def test_what_tells_of_the_whole_machine_is_empty(spec, uid, name):
    assert await said(spec, f"head -c 1 {name} 2>/dev/null; true", uid=uid) == ""


@BOTH
async def test_firmware_and_debugging_of_the_kernel_are_hidden(spec, uid):
    script = "ls -A /sys/firmware /sys/kernel/debug /sys/kernel/tracing 2>/dev/null | grep -v :"
    assert (await said(spec, script, uid=uid)).strip() == ""


async def test_kernel_knobs_are_there_to_read(spec):
    assert (await said(spec, "cat /proc/sys/kernel/ostype")) == "Linux\n"


@BOTH
async def test_it_has_its_own_hostname_and_only_a_loopback(spec, uid):
    lines = (await said(spec, "hostname; tail -n +3 /proc/net/dev", uid=uid)).splitlines()
    assert lines[0] == "box"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["lo"]


async def test_the_network_of_the_host_is_reached_only_if_asked_for(spec):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(\"127.0.0.1:{port}\") ? 1 : 0'"
        assert await said(spec, script) == "0"
        assert await said(spec, script, network=True) == "1"


async def test_capabilities_are_few_for_root_and_none_for_others(spec):
    status = "grep -E 'CapEff|NoNewPrivs' /proc/self/status"
    assert await said(spec, status, uid=0) == "CapEff:\t00000000a00405fb\nNoNewPrivs:\t0\n"
    assert await said(spec, status) == "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n"


async def test_root_cannot_trace_the_process_that_watches_it(spec):
    # PTRACE_SEIZE (0x4206) of process 1, whose descriptors lead to the keeper on the host
    script = "perl -e 'exit(syscall(101, 0x4206, 1, 0, 0) == 0 ? 0 : 1)' && echo TRACED; true"
    assert os.uname().machine != "x86_64" or await said(spec, script, uid=0) == ""


@BOTH
async def test_processes_and_shared_memory_are_bounded(spec, uid):
    script = "ulimit -p; df --output=size -B1 /dev/shm | tail -n 1; head -c 70000000 /dev/zero > /dev/shm/big"
    processes, shared_bytes, *complaint = (await said(spec, script, uid=uid)).splitlines()
    assert int(processes) <= 16_384
    assert int(shared_bytes) == spec.scratch_bytes
    assert "No space left" in " ".join(complaint)


async def test_with_a_user_namespace_root_inside_is_nobody_on_the_host(spec, ids):
    async with open_sandbox(replace(spec, workspace_uid=0)) as sandbox:
        await sandbox.run(["/bin/sh", "-c", "touch /build/file"])
        owner = os.stat("file", dir_fd=sandbox.workspace_fd).st_uid
    assert owner == (ids.first if ids else 0)


async def test_environment_and_descriptors_are_clean(spec, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    extra = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(extra, True)
    text = await said(spec, "env; echo /proc/self/fd/*", env={"GIVEN": "yes"})
    os.close(extra)
    assert "SECRET" not in text
    assert "GIVEN=yes" in text
    assert text.splitlines()[-1].split() == [f"/proc/self/fd/{number}" for number in (0, 1, 2, 3)]


async def test_devices_and_terminals_work(spec):
    script = "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; script -qc tty /dev/null"
    assert (await said(spec, script)).split() == ["3", "3", "/dev/pts/0"]


async def test_changes_are_not_written_to_the_lower_layer(spec, lower):
    assert await said(spec, "echo changed > /etc/mark; cat /etc/mark", uid=0) == "changed\n"
    assert (lower / "etc" / "mark").read_text() == "lower\n"


async def test_changes_can_be_kept_as_a_layer_for_the_next(spec, tmp_path):
    kept = tmp_path / "layers" / "one"
    kept.parent.mkdir()
    async with open_sandbox(replace(spec, upper=tmp_path / "layers" / ".new")) as sandbox:
        await sandbox.run(["/bin/sh", "-c", "echo changed > /etc/mark; rm -r /tmp"])
        sandbox.keep_changes_as(kept)
    assert [path.name for path in kept.parent.iterdir()] == ["one"]
    lowers = (type(spec.lowers[0])(kept, map_ids=False), *spec.lowers)
    assert await said(replace(spec, lowers=lowers), "cat /etc/mark; ls -d /tmp 2>/dev/null") == "changed\n"


async def test_changes_that_nobody_keeps_are_gone(spec, tmp_path):
    async with open_sandbox(replace(spec, upper=tmp_path / "new")) as sandbox:
        await sandbox.run(["/bin/sh", "-c", "echo changed > /etc/mark"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lower", "state"]


async def test_a_bound_directory_can_be_written_only_if_asked_for(spec, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    script = "echo x > /mnt/shared/file && echo written; true"
    read_only = replace(spec, binds=(*spec.binds, Bind(shared, "/mnt/shared")))
    assert "written" not in await said(read_only, script, uid=0)
    writable = replace(spec, binds=(*spec.binds, Bind(shared, "/mnt/shared", read_only=False)))
    assert "written" in await said(writable, script, uid=0)
    assert (shared / "file").stat().st_uid == 0


async def test_commands_of_one_sandbox_share_files_and_nothing_else(spec):
    async with open_sandbox(spec) as sandbox:
        await sandbox.run(["/bin/sh", "-c", "echo kept > /tmp/file; setsid sleep 1000 & echo x > /dev/shm/file"])
        seen = await sandbox.run(["/bin/sh", "-c", "cat /tmp/file; echo /proc/[0-9]*; ls /dev/shm"])
    assert seen.output == b"kept\n/proc/1 /proc/2\n"


async def test_commands_run_at_the_same_time(spec):
    async with open_sandbox(spec) as sandbox:
        results = await asyncio.gather(*(sandbox.run(["/bin/echo", str(number)]) for number in range(10)))
    assert [result.output for result in results] == [f"{number}\n".encode() for number in range(10)]


async def test_signals_and_exit_codes_come_back(spec):
    async with open_sandbox(spec) as sandbox:
        assert (await sandbox.run(["/bin/sh", "-c", "exit 3"], check=False)).returncode == 3
        assert (await sandbox.run(["/bin/sh", "-c", "kill -15 $$"], check=False)).returncode == -15


async def test_a_missing_program_and_a_missing_directory_are_told_apart(spec):
    async with open_sandbox(spec) as sandbox:
        with pytest.raises(DeborchError) as program:
            await sandbox.run(["no-such-program"])
        with pytest.raises(DeborchError) as directory:
            await sandbox.run(["/bin/true"], cwd="/no/such/directory")
    assert program.value.code is ErrorCode.PROCESS_FAILED
    assert directory.value.code is ErrorCode.SANDBOX_FAILED
    assert "/no/such/directory" in directory.value.message
