"""What a build leaves, and what it says while it runs."""

import hashlib
from pathlib import Path

from tests.e2e.running import until

SAYS_AND_GOES_ON = 'echo "it has begun"\nsleep 3\necho "it is over"'


def test_a_log_is_followed_line_by_line_until_the_build_ends(stack, cli, target, source):
    build = cli.json("build", source(body=SAYS_AND_GOES_ON), "--target", target, "--scratch")["id"]
    state_at_first_line = None
    lines = []
    stack.wait_for_task(build, "running")
    with cli.started("build", "log", build, "--follow") as follower:
        for line in follower.stdout:
            lines.append(line.rstrip("\n"))
            if "it has begun" in lines and state_at_first_line is None:
                state_at_first_line = stack.get(f"builds/{build}")["state"]
        assert follower.wait(30) == 0
    assert state_at_first_line == "building"
    assert "it is over" in lines
    assert cli("build", "log", build).stdout.splitlines() == [line for line in lines if "is over: the task" not in line]
    assert cli.json("build", "show", build)["state"] == "completed"


def test_a_scratch_build_can_be_downloaded_and_does_not_enter_the_archive(
    stack, cli, target, source, architecture, tmp_path
):
    until(lambda: stack.get(f"archives/{target}")["generation"] == 1, "the archive is there, empty")
    before = stack.get(f"archives/{target}")
    cli("build", source(), "--target", target, "--scratch", "--watch")
    (build,) = stack.get(f"builds?target={target}")["items"]
    assert (build["scratch"], build["state"]) == (True, "completed")
    files = cli.json(
        "build", "download", build["id"], "--to", tmp_path / "results", "--kind", "deb", "--kind", "changes"
    )
    names = {Path(file["path"]).name for file in files}
    assert names == {f"tiny_1.0_{architecture}.deb", f"tiny_1.0_{architecture}.changes"}
    for file in files:
        assert hashlib.sha256(Path(file["path"]).read_bytes()).hexdigest() == file["sha256"]
    assert cli.json("archive", "packages", target) == []
    assert stack.get(f"archives/{target}") == before


def test_a_package_of_the_debian_suite_is_built_by_its_name_alone(cli, target, architecture, tmp_path):
    build = cli.json("build", "hostname", "--target", target)["id"]
    cli("build", "watch", build)
    shown = cli.json("build", "show", build)
    assert (shown["state"], shown["source"]) == ("completed", "hostname")
    assert [task["kind"] for task in shown["tasks"]] == ["fetch-source", "build-package"]
    assert f"hostname_{shown['version']}.dsc" in {file["name"] for file in shown["source_files"]}
    (package,) = (entry for entry in cli.json("archive", "packages", target) if entry["package"] == "hostname")
    files = cli.json("build", "download", build, "--to", tmp_path / "results", "--kind", "deb")
    built = {Path(file["path"]).name: file["sha256"] for file in files}
    assert built[f"hostname_{shown['version']}_{architecture}.deb"] == package["sha256"]
    assert "dpkg-deb: building package 'hostname'" in cli("build", "log", build).stdout
