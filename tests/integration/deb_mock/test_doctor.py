"""deb-mock doctor, on this host as it is and on what can be made of it."""

import json
import sys

import pytest

from deborch_shared import process

IN_A_MOUNT_NAMESPACE = ["unshare", "--mount", "--propagation=private", "sh", "-ec"]


@pytest.fixture
def doctor(config):
    """The start of a command line."""
    return lambda *more: [
        *(sys.executable, "-m", "deb_mock", "doctor", "--json"),
        *("--state-dir", str(config.state_dir), "--cache-dir", str(config.cache_dir)),
        *map(str, more),
    ]


async def findings_of(command, cwd=None):
    result = await process.run(command, check=False, cwd=cwd)
    told = json.loads(result.output)
    assert result.returncode == (0 if told["builds_work"] else 6)
    return told, {finding["name"]: finding for finding in told["findings"]}


async def test_doctor_says_that_builds_work_where_these_tests_run(doctor, config):
    told, found = await findings_of(doctor())
    assert told["builds_work"]
    assert {"kernel", "namespaces", "overlay", "archive", "sandbox", "space for builds"} <= found.keys()
    assert all(finding["fix"] for finding in found.values() if finding["status"] != "ok")
    assert not config.state_dir.exists()


async def test_doctor_finds_that_a_state_directory_on_an_overlay_is_no_good(doctor, tmp_path):
    place = tmp_path / "overlay"
    script = (
        f"mkdir -p {place}/u {place}/l {place}/w {place}/m; "
        f"mount -t overlay -o lowerdir={place}/l,upperdir={place}/u,workdir={place}/w o {place}/m; "
        'exec "$@"'
    )
    told, found = await findings_of([*IN_A_MOUNT_NAMESPACE, script, "sh", *doctor("--state-dir", place / "m")])
    assert not told["builds_work"]
    assert found["overlay"]["status"] == "problem"
    assert "ext4" in found["overlay"]["fix"]


async def test_doctor_finds_that_the_archive_cannot_be_read(doctor):
    told, found = await findings_of(doctor("--mirror", "http://127.0.0.1:1/debian"))
    assert not told["builds_work"]
    assert "cannot be read" in found["archive"]["found"]


async def test_doctor_tells_a_user_without_root_and_ids_how_to_get_ids(doctor):
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    told, found = await findings_of([*as_nobody, *doctor()], cwd="/")
    assert not told["builds_work"]
    assert "no root" in found["privileges"]["found"]
    assert "--add-subuids" in found["privileges"]["fix"]
    assert "sandbox" not in found
