"""What installs packages runs as root, and reaches nothing of the host that it was not given."""

import pytest

from deb_bootc_compose.ostree import apart


@pytest.fixture
def scratch(tmp_path):
    place = tmp_path / "scratch"
    place.mkdir()
    return place


async def run(scratch, script, readable=None):
    said = []
    argv = ["sh", "-c", f"{script}\ntrue"]
    readable = readable or {}
    await apart.run_apart(argv, scratch, readable=readable, env={}, on_output=said.append, timeout_s=60)
    return b"".join(said).decode()


async def test_what_is_written_beside_the_scratch_directory_is_not_written_on_the_host(scratch, tmp_path):
    script = f"""
        touch {tmp_path}/one /proc/1/root{tmp_path}/two
        mkdir inner; chroot inner true 2>/dev/null
        mount -o remount,rw,bind / 2>/dev/null; touch {tmp_path}/three
        echo kept > {scratch}/kept
    """
    await run(scratch, script)
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert (scratch / "kept").read_text() == "kept\n"


async def test_homes_are_empty_and_processes_are_its_own(scratch, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "key").write_text("secret")
    monkeypatch.setattr(apart, "_HIDDEN", (str(home),))
    said = await run(scratch, f"ls -A {home}; ls -d /proc/[0-9]*; cat /proc/net/dev")
    assert "key" not in said
    assert said.count("/proc/") < 10
    assert "eth0" not in said


async def test_what_is_given_to_be_read_is_read_and_not_changed(scratch, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    (given / "deb").write_text("content")
    said = await run(scratch, "cat /run/given/deb; echo other > /run/given/deb", readable={"/run/given": given})
    assert said.startswith("content")
    assert "Read-only" in said
    assert (given / "deb").read_text() == "content"
