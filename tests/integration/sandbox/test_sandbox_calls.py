"""System calls that a sandbox refuses: with an error that programs can handle, in each instruction set."""

import errno
import os
from dataclasses import replace

import pytest

from deborch_shared.sandbox import seccomp
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.spec import Filtering

PYTHON = "/usr/bin/python3"
on_x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="calls by the numbers of x86")

CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for line in sys.argv[1:]:
    name, *numbers = line.split()
    result = libc.syscall(*(ctypes.c_long(int(number, 0)) for number in numbers))
    print(name, ctypes.get_errno() if result < 0 else 0)
"""
"""Each argument is a name, the number of a call on x86_64, and its arguments."""

OTHER_SETS = """
import ctypes, mmap
def run(code):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
# push rbx; mov eax, NUMBER; int 0x80; pop rbx; ret
compat = lambda number: run(b"\\x53\\xb8" + number.to_bytes(4, "little") + b"\\xcd\\x80\\x5b\\xc3")
print("keyctl", -compat(288))
print("getpid", compat(20) > 0)
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(0x40000000 + 250, 0, 0, 0)
print("x32", ctypes.get_errno())
"""
"""keyctl(2) and getpid(2) as a 32-bit program, and as one for x32."""


async def said(spec, argv, *, uid=59_000):
    async with open_sandbox(spec) as sandbox:
        result = await sandbox.run(argv, uid=uid, check=False, timeout_s=20)
    return result.output.decode()


@pytest.fixture
def answers(spec):
    async def call(calls, *, uid=59_000):
        text = await said(spec, (PYTHON, "-c", CALL, *calls), uid=uid)
        return {line.split()[0]: int(line.split()[1]) for line in text.splitlines()}

    return call


@on_x86
@pytest.mark.parametrize("uid", [0, 59_000], ids=["root", "user"])
async def test_what_belongs_to_administrators_is_refused(answers, uid):
    found = await answers(
        (
            "bpf 321 0 0 0",
            "perf_event_open 298 0 0 0 0 0",
            "userfaultfd 323 0",
            "keyctl 250 0 0 0",
            "add_key 248 0 0 0 0 0",
            "kexec_load 246 0 0 0 0",
            "init_module 175 0 0 0",
            "io_uring_setup 425 1 0",
            "open_by_handle_at 304 0 0 0",
            "mount 165 0 0 0 0 0",
            "fsopen 430 0 0",
            "settimeofday 164 0 0",
            "unshare 272 0x10000000",
            "clone 56 0x10000011 0 0 0 0",
        ),
        uid=uid,
    )
    assert set(found.values()) == {errno.EPERM}
    assert len(found) == 14


@on_x86
async def test_new_forms_of_clone_are_said_not_to_be_there_so_that_programs_use_the_old(answers):
    assert await answers(["clone3 435 0 0"]) == {"clone3": errno.ENOSYS}


@on_x86
@pytest.mark.parametrize("uid", [0, 59_000], ids=["root", "user"])
async def test_sockets_are_of_the_usual_kinds_only(answers, uid):
    found = await answers(
        (
            "unix 41 1 1 0",
            "inet 41 2 0x80001 0",
            "inet6-datagram 41 10 2 0",
            "netlink-raw 41 16 3 0",
            "packet 41 17 3 0",
            "inet-raw 41 2 0x80003 1",
            "inet6-raw 41 10 3 58",
            "vsock 41 40 1 0",
            "alg 41 38 5 0",
            "far 41 90 1 0",
        ),
        uid=uid,
    )
    allowed, refused = ("unix", "inet", "inet6-datagram", "netlink-raw"), ("packet", "vsock", "alg", "far")
    assert {name: found[name] for name in allowed} == dict.fromkeys(allowed, 0)
    assert {name: found[name] for name in refused} == dict.fromkeys(refused, errno.EAFNOSUPPORT)
    assert (found["inet-raw"], found["inet6-raw"]) == (errno.EPERM, errno.EPERM)


@on_x86
async def test_the_same_holds_for_programs_of_other_instruction_sets(spec):
    lines = (await said(spec, [PYTHON, "-c", OTHER_SETS])).splitlines()
    assert lines[:2] == [f"keyctl {errno.EPERM}", "getpid True"]
    assert lines[2] in {f"x32 {errno.EPERM}", f"x32 {errno.ENOSYS}"}


async def test_threads_children_and_traces_within_work(spec):
    script = (
        "import threading, subprocess, multiprocessing\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
        "print(subprocess.check_output(['echo', 'child']).decode(), end='')\n"
    )
    assert (await said(spec, [PYTHON, "-c", script])).split() == ["thread", "child"]


async def test_syncs_are_skipped_only_if_asked_for(spec):
    # fsync of a pipe is an error that the kernel no longer finds if the call never comes to it
    script = "import os\ntry:\n    os.fsync(os.pipe()[1]); print('skipped')\nexcept OSError: print('done')"
    assert await said(spec, [PYTHON, "-c", script]) == "done\n"
    assert await said(replace(spec, no_sync=True), [PYTHON, "-c", script]) == "skipped\n"


async def test_user_namespaces_within_are_for_those_who_allow_them(spec):
    script = "unshare -rm mount -t tmpfs none /tmp && echo mounted"
    assert "mounted" not in await said(spec, ["/bin/sh", "-c", script])
    assert await said(replace(spec, nested_namespaces=True), ["/bin/sh", "-c", script]) == "mounted\n"


@pytest.mark.parametrize(
    "attempt",
    [
        "unshare -rm umount /proc/sys",
        "unshare -rmpf mount -t proc proc /proc",
        "unshare -rm sh -c 'mount -o remount,bind,rw /proc/sys; echo 1 > /proc/sys/kernel/panic'",
        "unshare -r mknod /dev/shm/disk b 8 0",
    ],
)
async def test_also_with_namespaces_of_its_own_nothing_that_is_covered_can_be_laid_open(spec, attempt):
    nested = replace(spec, nested_namespaces=True)
    assert await said(nested, ["/bin/sh", "-c", f"({attempt}) 2>/dev/null && echo DID IT; true"]) == ""


async def test_the_filter_can_be_left_out(spec):
    mode = ["grep", "Seccomp:", "/proc/self/status"]
    assert await said(spec, mode) == "Seccomp:\t2\n"
    assert await said(replace(spec, filtering=Filtering.OFF), mode) == "Seccomp:\t0\n"


async def test_a_host_that_cannot_filter_runs_nothing_unless_it_may(spec, monkeypatch):
    monkeypatch.setattr(seccomp, "_LIBRARY", "no-such-library.so")
    seccomp.program.cache_clear()
    try:
        with pytest.raises(seccomp.DeborchError) as caught:
            await said(spec, ["/bin/true"])
        assert "libseccomp2" in caught.value.hint
        preferred = replace(spec, filtering=Filtering.PREFERRED)
        assert await said(preferred, ["/bin/echo", "ran"]) == "ran\n"
    finally:
        seccomp.program.cache_clear()
