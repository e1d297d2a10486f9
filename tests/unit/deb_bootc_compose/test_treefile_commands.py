"""`deb-bootc-compose validate`, `show` and `schema`."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from deb_bootc_compose.cli.app import app

SAMPLES = Path(__file__).parents[3] / "samples"
TREE = """\
suite: trixie
architectures: [amd64, arm64]
kernel: linux-image-${architecture}
variables: {channel: stable}
hostname: ${channel}
x-owner: somebody
variants: {server: {packages: [ssh]}, edge: {outputs: [raw]}}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree.yaml"
    path.write_text(TREE)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_validate_names_the_targets_of_a_right_treefile(tree):
    result = run("validate", tree)
    assert result.exit_code == 0
    assert "right: server.amd64, server.arm64, edge.amd64, edge.arm64" in result.output


def test_validate_tells_all_problems_of_all_files_and_returns_the_code_of_treefiles(tree, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("suite: trixie\npakages: []\nunit: []\n")
    result = run("validate", tree, wrong)
    assert result.exit_code == 3
    assert f"{wrong}:2: pakages is no key; the nearest is packages" in result.output
    assert f"{wrong}:3: unit is no key; the nearest is units" in result.output
    assert "2 problems" in result.output
    assert f"{tree}: right" in result.output
    as_json = json.loads(run("validate", tree, wrong, "--json").output)
    assert [one["right"] for one in as_json] == [True, False]
    assert as_json[1]["problems"][0] == {
        "file": str(wrong),
        "line": 2,
        "key": "pakages",
        "message": "is no key; the nearest is packages",
    }


def test_a_file_that_is_not_there_is_a_problem_and_no_traceback(tmp_path):
    result = run("validate", tmp_path / "missing.yaml")
    assert result.exit_code == 3
    assert "there is no file missing.yaml" in result.output


def test_show_prints_one_target_with_everything_in_place(tree):
    shown = yaml.safe_load(run("show", tree, "--variant", "server", "--arch", "arm64").output)
    assert shown["kernel"] == "linux-image-arm64"
    assert shown["hostname"] == "stable"
    assert shown["packages"] == ["ssh"]
    assert shown["x-owner"] == "somebody"
    assert shown["tmp-is-dir"] is True
    short = run("show", tree, "--variant", "server", "--arch", "arm64", "--short", "--format", "json").output
    assert "tmp-is-dir" not in json.loads(short)
    assert json.loads(short)["digest"] == shown["digest"]


def test_show_takes_variables(tree):
    output = run("show", tree, "--variant", "edge", "--arch", "amd64", "--variable", "channel=test").output
    assert yaml.safe_load(output)["hostname"] == "test"
    wrong = run("show", tree, "--variant", "edge", "--variable", "channel")
    assert wrong.exit_code == 3
    assert "NAME=VALUE is expected" in wrong.output


def test_show_lists_variants_and_architectures(tree):
    table = run("show", tree, "--list").output
    assert "debian/trixie/arm64/edge" in table
    rows = json.loads(run("show", tree, "--list", "--format", "json", "--arch", "amd64").output)
    assert [(row["variant"], row["outputs"]) for row in rows] == [("server", []), ("edge", ["raw"])]


def test_show_asks_for_the_variant_where_there_are_several(tree):
    result = run("show", tree)
    assert result.exit_code == 3
    assert "which variant? There are server, edge" in result.output


def test_files_elsewhere_are_named_only_where_that_is_allowed(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "motd").write_text("hello")
    (inside / "link").symlink_to(outside / "motd")
    base = "suite: trixie\nkernel: linux-image-amd64\narchitectures: [amd64]\n"
    for name in ("../outside/motd", "link", str(outside / "motd")):
        (inside / "tree.yaml").write_text(f"{base}add-files: [[{name}, /etc/motd]]\n")
        refused = run("validate", inside / "tree.yaml")
        assert refused.exit_code == 3
        assert "is outside the treefile's directory; allow it with --allow" in refused.output
        assert run("validate", inside / "tree.yaml", "--allow", outside).exit_code == 0


def test_the_exit_codes_are_in_the_help():
    assert "3 treefile" in run("--help").output
