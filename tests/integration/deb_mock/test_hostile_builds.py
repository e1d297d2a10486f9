"""Builds that try to get out, or to get something out: nothing of it works, and the next build does."""

import hashlib
import io
import os
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from deb_mock.engine import Engine
from deborch_shared.errors import DeborchError

REFUSED = f"""\
mount -t tmpfs none /mnt
unshare -rm mount -t tmpfs none /mnt
umount /proc/sys
mknod /tmp/disk b 8 0
mknod dev c 1 3
chroot / /bin/true
echo 1 > /proc/sys/kernel/panic
echo c > /proc/sysrq-trigger
echo x > /sys/kernel/uevent_helper
mkdir /sys/fs/cgroup/evil
hostname evil
touch /etc/evil
touch /usr/bin/evil
touch /root/evil
ln /usr/bin/dpkg hardlink
kill -0 {os.getpid()}
perl -e 'exit(syscall(101, 16, {os.getpid()}, 0, 0) == 0 ? 0 : 1)'
perl -e 'exit(syscall(101, 0x4206, 1, 0, 0) == 0 ? 0 : 1)'
perl -MSocket -e 'socket(S, PF_INET, SOCK_RAW, 1) or exit 1'
perl -e 'socket(S, 17, 3, 0) or exit 1'
cat /proc/kcore
cat /dev/mem
su -c true
test "$(cp /usr/bin/id id; chmod 4755 id; ./id -u)" = 0
"""
"""Shell, one attempt a line."""
HOSTILE = {
    "a package that is a link to something else": "touch /tmp/loot\nln -s /tmp/loot ../tiny_1.0_{architecture}.deb",
    "a tree that is gone": "rm -rf /build/* || true",
    "a killed group": "kill -9 0; true",
    "a killed parent": "kill -9 $(ps -o ppid= $PPID)",
    "daemons left behind": "setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' &\nfalse",
}


async def fails(engine, request, log):
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert not request.result_dir.exists()
    return caught.value


@pytest.mark.parametrize("mapped", [True, False], ids=["user-namespace", "host-ids"])
async def test_no_attempt_to_get_out_succeeds(request_for, log, config, mapped):
    attempts = "\n".join(f"! ( {line} ) > /dev/null 2>&1" for line in REFUSED.splitlines())
    engine = Engine(config if mapped else replace(config, ids=None))
    await engine.build(request_for(attempts), on_log=log.extend)


async def test_whatever_a_build_does_it_has_a_class_and_the_next_build_works(engine, request_for, log, tmp_path):
    classes = {}
    for number, (name, body) in enumerate(HOSTILE.items()):
        request = request_for(body.format(architecture="amd64" if os.uname().machine == "x86_64" else "arm64"))
        error = await fails(engine, request, log)
        assert error.hint
        classes[name] = error.fields["failure_class"]
        request.source_dir.rename(tmp_path / f"source-{number}")
    assert set(classes.values()) <= {"compile", "killed"}
    assert classes["a killed group"] == "killed"
    await engine.build(request_for("true"), on_log=log.extend)


@pytest.mark.parametrize("way", ["dots", "absolute", "link"])
async def test_a_tarball_that_points_out_of_its_tree_writes_nothing_outside(engine, request_for, log, way, tmp_path):
    request = request_for()
    victim = tmp_path / "victim"
    repack(request.dsc, hostile_members(way, victim))
    try:
        await engine.build(request, on_log=log.extend)
    except DeborchError as error:
        assert error.fields["failure_class"] == "policy"
    assert not victim.exists()
    assert not Path(f"/{victim.name}-in-the-root").exists()


def hostile_members(way, victim):
    content = b"evil\n"
    if way == "link":
        link = tarfile.TarInfo("tiny-1.0/door")
        link.type, link.linkname = tarfile.SYMTYPE, str(victim.parent)
        return [(link, b""), (tarfile.TarInfo(f"tiny-1.0/door/{victim.name}"), content)]
    name = str(victim) if way == "absolute" else f"tiny-1.0/{'../' * 12}{str(victim).lstrip('/')}"
    return [(tarfile.TarInfo(name), content)]


def repack(dsc: Path, members) -> None:
    """Add members to the tarball, and let the .dsc say the truth about it."""
    tarball = next(dsc.parent.glob("*.tar.*"))
    with tarfile.open(tarball) as old:
        kept = [(member, old.extractfile(member).read() if member.isreg() else b"") for member in old.getmembers()]
    with tarfile.open(tarball, "w:xz") as new:
        for member, content in [*kept, *members]:
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    content, text = tarball.read_bytes(), dsc.read_text()
    for kind in ("md5", "sha1", "sha256"):
        digest = hashlib.new(kind, content, usedforsecurity=False).hexdigest()
        pattern = rf"^ [0-9a-f]{{{len(digest)}}} \d+ {re.escape(tarball.name)}$"
        text = re.sub(pattern, f" {digest} {len(content)} {tarball.name}", text, flags=re.MULTILINE)
    dsc.write_text(text)
