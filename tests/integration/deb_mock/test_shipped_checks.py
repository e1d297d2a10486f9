"""The shipped checks over a real package, a bad one and a good one; their tools share one cached layer."""

import os
import socket
import subprocess
from dataclasses import replace

import pytest
from tests.integration.deb_mock.conftest import what_is_left

from deb_mock.engine import Engine
from deb_mock.engine_config import PluginSetting
from deb_mock.model import CheckStatus
from deborch_shared.errors import DeborchError

TOOLS = ("lintian", "devscripts", "blhc", "autopkgtest", "piuparts")
BAD = """\
echo 'int main(void) { return 0; }' > x.c
gcc -O2 -c x.c
mkdir -p debian/out/DEBIAN debian/out/usr/local/bin
echo "built in $(pwd)" > debian/out/usr/local/bin/bad
printf '#!/bin/sh\\nmkdir -p /var/lib/left-behind; echo x > /var/lib/left-behind/file\\n' > debian/out/DEBIAN/postinst
chmod 755 debian/out/DEBIAN/postinst"""
TESTS = """\
Tests: sees
Depends: @, ed
Restrictions: needs-root

Test-Command: test "$(id -u)" != 0 && ! getent hosts example.org
Depends: @
"""


@pytest.fixture
def checked(config, request_for, log):
    """Builds a package with tests of its own, and checks it; the results of the checks by name."""

    async def build(body: str, test_script: str, *checks: tuple[str, dict], gating=(), control=TESTS):
        request = request_for(body)
        tests = request.source_dir / "tiny-1.0" / "debian" / "tests"
        tests.mkdir()
        (tests / "control").write_text(control)
        (tests / "sees").write_text(f"#!/bin/sh\nset -e\n{test_script}\n")
        (tests / "sees").chmod(0o755)
        subprocess.run(["dpkg-source", "-b", "tiny-1.0"], cwd=request.source_dir, check=True, capture_output=True)
        settings = [
            PluginSetting(name, options={"packages": TOOLS, "gating": name in gating, **options})
            for name, options in checks
        ]
        try:
            result = await Engine(replace(config, plugins=tuple(settings))).build(request, on_log=log.extend)
            found = result.checks
        except DeborchError as error:
            build.error = error
            found = error.fields["checks"]
        assert what_is_left(config.state_dir) == []
        for check in found:
            assert check.report is None or (request.result_dir / check.report).is_file()
        return {check.name: check for check in found}

    return build


@pytest.fixture
def version_before(tmp_path):
    """tiny 0.9, with a file that 1.0 does not have."""
    tree = tmp_path / "before"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr" / "share" / "tiny").mkdir(parents=True)
    (tree / "usr" / "share" / "tiny" / "gone").write_text("x")
    fields = {"Package": "tiny", "Version": "0.9", "Architecture": "amd64", "Maintainer": "Test <test@example.org>"}
    fields["Description"] = "made by a test"
    (tree / "DEBIAN" / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
    subprocess.run(["dpkg-deb", "-b", str(tree), str(tmp_path)], check=True, capture_output=True)
    return tmp_path / "tiny_0.9_amd64.deb"


@pytest.mark.slow
async def test_every_check_finds_what_is_wrong_and_a_gating_one_ends_the_build_with_its_class(checked, version_before):
    found = await checked(
        BAD,
        "false",
        ("lintian", {}),
        ("contents", {}),
        ("blhc", {}),
        ("debdiff", {"previous": str(version_before)}),
        ("autopkgtest", {}),
        ("piuparts", {}),
        gating=("autopkgtest",),
    )
    assert {check.status for check in found.values()} == {CheckStatus.FAIL}, found
    assert any("no-copyright-file" in finding for finding in found["lintian"].findings)
    assert any("/usr/local/bin/bad may not be" in finding for finding in found["contents"].findings)
    assert any("names the build directory" in finding for finding in found["contents"].findings)
    assert any("CFLAGS missing" in finding for finding in found["blhc"].findings)
    assert found["debdiff"].summary == "tiny: files are gone"
    assert found["autopkgtest"].summary == "1 pass, 1 fail"
    assert any("/var/lib/left-behind" in finding for finding in found["piuparts"].findings)
    assert checked.error.fields["failure_class"] == "test"


@pytest.mark.slow
async def test_a_package_that_behaves_passes(checked):
    found = await checked(
        "true", "which ed\ntest -f /usr/share/tiny/file", ("contents", {}), ("autopkgtest", {}), ("piuparts", {})
    )
    assert {name: check.status for name, check in found.items()} == dict.fromkeys(
        ("contents", "autopkgtest", "piuparts"), CheckStatus.PASS
    ), found


@pytest.mark.slow
async def test_options_of_apt_in_place_of_a_relation_are_refused_and_do_nothing(checked, log):
    hook = "-oAPT::Update::Pre-Invoke::=touch${IFS}/build/hooked"
    control = f"Test-Command: true\nDepends: {hook}\n"
    check = (await checked("true", "true", ("autopkgtest", {}), control=control))["autopkgtest"]
    assert check.status is CheckStatus.FAIL
    assert "is no relation to packages" in check.summary
    assert b"satisfy" not in log


@pytest.mark.slow
async def test_tests_of_a_package_reach_nothing_of_the_host(checked, tmp_path):
    (tmp_path / "of-the-host").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.setblocking(False)
        tries = (
            f"bash -c ': <>/dev/tcp/127.0.0.1/{port}'",
            f"test -e {tmp_path}/of-the-host",
            f"kill -0 {os.getpid()}",
            "mount -t tmpfs none /mnt",
            "mknod /disk b 7 0",
            "sh -c 'echo x > /proc/sys/kernel/hostname'",
        )
        script = "".join(f"if {each}; then exit 1; fi\n" for each in tries)
        control = "Tests: sees\nDepends: @\nRestrictions: needs-root, allow-stderr\n"
        found = await checked("true", script, ("autopkgtest", {}), control=control)
        assert found["autopkgtest"].summary == "1 pass"
        with pytest.raises(BlockingIOError):
            listening.accept()
