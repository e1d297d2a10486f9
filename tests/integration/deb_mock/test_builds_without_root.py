"""deb-mock as a user without root runs it, from nothing to a package."""

import json
import sys

import pytest
from tests.integration.deb_mock.plain_user import CACHE, FIRST_SUBID, HOME, UID, as_user, processes_of_user

from deborch_shared import process
from deborch_shared.sandbox.backends import problem
from deborch_shared.sandbox.spec import Backend

ISOLATED = """\
test "$(id -u)" = 59000
test "$(grep -c : /proc/net/dev)" = 1
! touch /usr/bin/mine /proc/sys/kernel/hostname /sys/mine 2>/dev/null
! mount -t tmpfs mine /mnt 2>/dev/null
grep -q '^CapEff:\\s*0000000000000000$' /proc/self/status
grep -q '^NoNewPrivs:\\s*1$' /proc/self/status
hello
"""
"""From make's point of view each line must succeed."""


@pytest.fixture
def run(tmp_path, cache_dir):
    """Runs a command of deb-mock as the user; the exit code and what it said."""
    home, cache = tmp_path / "home", cache_dir.parent / "deb-mock-of-a-user"
    for directory in (home, cache):
        directory.mkdir(parents=True, exist_ok=True)

    async def run(*arguments: str, with_ids=True):
        command = [sys.executable, "-m", "deb_mock", *arguments]
        argv, environment = as_user(command, home=home, cache=cache, with_ids=with_ids)
        result = await process.run(argv, env=environment, check=False, timeout_s=900)
        return result.returncode, result.output.decode()

    run.home, run.cache = home, cache
    return run


async def test_a_user_with_subordinate_ids_builds_a_package_isolated_and_leaves_nothing(run, request_for):
    request = request_for(ISOLATED, build_depends="hello")
    for path in request.source_dir.glob("tiny_*"):
        path.rename(run.home / path.name)
    code, said = await run("build", f"{HOME}/tiny_1.0.dsc", "--result-dir", f"{HOME}/results", "--verbose")
    assert code == 0, said
    results = list((run.home / "results").iterdir())
    assert {path.suffix for path in results} >= {".deb", ".changes", ".buildinfo"}
    assert {path.stat().st_uid for path in results} == {UID}
    assert processes_of_user() == []
    assert list((run.home / ".local/share/deb-mock/sandboxes").iterdir()) == []
    base = next((run.cache / "deb-mock/bases").glob("*/root"))
    assert base.stat().st_uid == UID
    assert FIRST_SUBID < (base / "etc/shadow").stat().st_gid < FIRST_SUBID + 65_536


@pytest.mark.parametrize("backend", [Backend.NAMESPACES, Backend.BWRAP])
async def test_root_inside_has_the_network_for_apt_but_may_not_mount_or_make_devices(run, backend):
    missing = problem(backend, unprivileged=True)
    if missing is not None:
        pytest.skip(f"{missing.message}: {missing.hint}")
    script = (
        "apt-get -q update >/dev/null && test -d /sys/class/net && "
        "! mount -t tmpfs mine /mnt 2>/dev/null && ! hostname mine 2>/dev/null && ! mknod /tmp/sda b 8 0 2>/dev/null"
    )
    code, said = await run("exec", "--network", "--backend", backend, "--", "sh", "-c", script)
    assert code == 0, said


async def test_the_doctor_of_a_user_tells_what_ids_there_are(run):
    code, said = await run("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(said)["findings"]}
    assert (code, f"id 0 is {UID}, 1 is {FIRST_SUBID} and up" in found["privileges"]["found"]) == (0, True)
    assert f"{HOME}/.local/share/deb-mock" in found["overlay"]["found"]
    assert f"{CACHE}/deb-mock" in found["space for caches"]["found"]


async def test_a_user_without_subordinate_ids_is_told_how_to_get_some(run):
    code, said = await run("build", f"{HOME}/none.dsc", with_ids=False)
    assert code == 6
    assert "subordinate ids for somebody in /etc/subuid and /etc/subgid" in said
    assert "usermod --add-subuids" in said
    assert "Traceback" not in said
