"""Buildroots that are kept between commands, and work by hand in them."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from tests.integration.deb_mock.conftest import processes_of, what_is_left
from tests.integration.deb_mock.terminal import on_a_terminal

from deborch_shared import process


@pytest.fixture
def deb_mock(config):
    """Runs a command of deb-mock; its exit code and output."""
    environment = {
        **os.environ,
        "DEB_MOCK_STATE_DIR": str(config.state_dir),
        "DEB_MOCK_CACHE_DIR": str(config.cache_dir),
    }

    async def run(*arguments: object, stdin=None):
        argv = [sys.executable, "-m", "deb_mock", *map(str, arguments)]
        result = await process.run(argv, env=environment, stdin=stdin, check=False)
        return result.returncode, result.output.decode()

    run.environment = environment
    return run


@pytest.fixture
async def work(deb_mock, config):
    """A kept buildroot; at the end nothing but it is left of what was done in it, and then not even that."""
    code, text = await deb_mock("init", "work")
    assert code == 0, text
    yield "work"
    code, text = await deb_mock("remove", "work")
    assert code == 0, text
    assert [line for line in what_is_left(config.state_dir) if not line.endswith("/buildroots")] == []


async def test_changes_stay_and_the_build_user_has_a_home(deb_mock, work, config, tmp_path):
    assert (await deb_mock("exec", "--in", work, "--", "sh", "-c", "echo mine > /etc/mark"))[0] == 0
    script = b"cat /etc/mark\nid -un\npwd\ntouch made && stat -c %U made\nexit 5\n"
    code, text = await deb_mock("shell", work, "--user", "builder", "--cwd", "/build", stdin=script)
    assert (code, text.splitlines()) == (5, ["mine", "builder", "/build", "builder"])
    listed = json.loads((await deb_mock("list", "--json"))[1])
    assert [(one["name"], one["in_use"]) for one in listed["kept"]] == [("work", False)]
    code, text = await deb_mock("init", work)
    assert (code, "--again" in text) == (3, True)
    (tmp_path / "mine.sources").write_text("Types: deb\nURIs: http://localhost/none\nSuites: ./\n")
    repository = ["--extra-repository", tmp_path / "mine.sources"]
    shown = await deb_mock("exec", "--in", work, *repository, "--", "ls", "/etc/apt/sources.list.d")
    assert (shown[0], "deborch-mine.sources" in shown[1]) == (0, True)
    clean = await deb_mock("exec", "--", "sh", "-c", "test -e /etc/mark || echo clean")
    assert clean == (0, "clean\n")


async def test_a_killed_command_leaves_the_buildroot_and_nothing_else(deb_mock, work, config):
    argv = [sys.executable, "-m", "deb_mock", "exec", "--in", work, "--", "sh", "-c"]
    running = await asyncio.create_subprocess_exec(
        *argv, "echo before > /root/mark; echo up; sleep 1000", stdout=subprocess.PIPE, env=deb_mock.environment
    )
    assert await running.stdout.readline() == b"up\n"
    second = asyncio.create_task(deb_mock("exec", "--in", work, "--", "cat", "/root/mark"))
    await asyncio.sleep(2)
    assert not second.done()
    assert json.loads((await deb_mock("list", "--json"))[1])["kept"][0]["in_use"]
    running.kill()
    await running.wait()
    code, text = await second
    assert (code, text.endswith("before\n"), "another command uses the buildroot" in text) == (0, True, True)
    assert processes_of(config.state_dir) == []
    assert sorted(path.name for path in (config.state_dir / "buildroots" / work).iterdir()) == [
        "buildroot.json",
        "root",
        "upper",
    ]


async def test_the_shell_has_a_terminal_with_size_signals_and_exit_code(deb_mock, work):
    argv = [sys.executable, "-m", "deb_mock", "shell", work, "--env", "PS1=ready> "]
    with on_a_terminal(argv, deb_mock.environment) as terminal:
        await terminal.see(b"ready> ")
        terminal.type(b"tty; stty size\n")
        await terminal.see(b"/dev/pts/0")
        await terminal.see(b"33 99")
        terminal.resize(44, 111)
        await asyncio.sleep(0.2)
        terminal.type(b"stty size\n")
        await terminal.see(b"44 111")
        terminal.type(b"sleep 1000\n")
        await asyncio.sleep(0.5)
        terminal.type(b"\x03")
        terminal.type(b"echo interrupted-$?\n")
        await terminal.see(b"interrupted-130")
        terminal.type(b"exit 9\n")
        assert await terminal.ended() == 9


async def test_packages_and_files_go_in_and_files_come_out(deb_mock, work, tmp_path):
    deb = await make_deb(tmp_path)
    code, text = await deb_mock("install", "--in", work, "--offline", deb)
    assert code == 0, text
    assert await deb_mock("exec", "--in", work, "--", "cat", "/usr/share/tiny-data/data") == (0, "data\n")
    code, text = await deb_mock("install", "--in", work, "no-such-package", "--offline")
    assert (code, "no-such-package" in text) == (4, True)

    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_text("from the host\n")
    assert (await deb_mock("copyin", tmp_path / "tree", "/build/", "--in", work, "--user", "builder"))[0] == 0
    shown = await deb_mock("exec", "--in", work, "--", "stat", "-c", "%U %n", "/build/tree/deep/file")
    assert shown == (0, "builder /build/tree/deep/file\n")
    script = b"ln -s /etc/hostname /build/tree/link; echo inside > /etc/hostname; mkfifo /build/tree/fifo"
    assert (await deb_mock("shell", work, stdin=script))[0] == 0
    code, text = await deb_mock("copyout", "/build/tree", "/build/tree/link", tmp_path / "out", "--in", work)
    assert code != 0, "two sources need a directory"
    (tmp_path / "out").mkdir()
    code, text = await deb_mock("copyout", "/build/tree", "/build/tree/link", tmp_path / "out", "--in", work)
    assert (code, "tree/fifo is left out" in text) == (0, True)
    assert (tmp_path / "out" / "tree" / "deep" / "file").read_text() == "from the host\n"
    assert (tmp_path / "out" / "link").read_text() == "inside\n"
    assert {path.stat(follow_symlinks=False).st_uid for path in (tmp_path / "out").rglob("*")} == {os.geteuid()}


async def test_input_directories_and_the_network_are_given_as_asked_and_allowed(deb_mock, config, tmp_path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "file").write_text("of the host\n")
    bind = ["--bind", f"{tmp_path}/shown:/data"]
    code, text = await deb_mock("exec", *bind, "--", "cat", "/data/file")
    assert (code, "-o 'binds+=[" in text) == (3, True)
    script = "cat; cat /data/file; touch /data/x || echo read-only; wc -l < /proc/net/dev"
    allowed = ["-o", f"binds=[{tmp_path}/shown]"]
    code, text = await deb_mock("exec", *bind, *allowed, "--", "sh", "-c", script, stdin=b"given\n")
    assert (code, text.splitlines()[:2], text.splitlines()[-2:]) == (
        0,
        ["given", "of the host"],
        ["read-only", "3"],
    )
    code, text = await deb_mock("exec", "--network", "-o", "network.commands=never", "--", "true")
    assert (code, "network.commands" in text) == (3, True)
    assert what_is_left(config.state_dir) == []


async def make_deb(directory):
    tree = directory / "deb"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr" / "share" / "tiny-data").mkdir(parents=True)
    (tree / "usr" / "share" / "tiny-data" / "data").write_text("data\n")
    (tree / "DEBIAN" / "control").write_text(
        "Package: tiny-data\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: data\n"
    )
    await process.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(directory / "tiny-data_1_all.deb")])
    return directory / "tiny-data_1_all.deb"
