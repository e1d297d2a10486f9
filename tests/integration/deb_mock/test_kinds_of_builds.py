"""Modes, changed versions, sources in every form, and chains, with the real dpkg and apt."""

import json
import sys
from dataclasses import replace

import pytest
from debian.deb822 import Changes, Dsc
from debian.debfile import DebFile
from tests.integration.deb_mock.conftest import what_is_left
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.model import ArtifactKind, ChangedVersion
from deborch_shared import process

BINNMU = ChangedVersion("M <m@example.org>", 1_767_225_600, binnmu=1, text="Rebuild for a test.")


@pytest.fixture
def command(config, request_for, tmp_path):
    """Runs `deb-mock build` in a directory of its own; the exit code and what it says as JSON."""
    places = ["--state-dir", str(config.state_dir), "--cache-dir", str(config.cache_dir)]
    results = tmp_path / "chain"

    async def run(*arguments: object):
        line = [sys.executable, "-m", "deb_mock", "build", *map(str, arguments), "--result-dir", str(results), *places]
        quiet = ["/bin/sh", "-c", 'exec "$@" 2>/dev/null', "sh", *line, "--json"]
        result = await process.run(quiet, cwd=tmp_path, check=False)
        assert what_is_left(config.state_dir) == []
        return result.returncode, json.loads(result.output)

    return run


def deb_of(artifacts):
    return next(artifact.path for artifact in artifacts if artifact.kind is ArtifactKind.DEB)


async def test_a_binnmu_changes_the_version_of_the_packages_and_names_their_source(engine, request_for, log):
    request = replace(request_for(), changed_version=BINNMU, mode="any")
    result = await engine.build(request, on_log=log.extend)
    control = DebFile(deb_of(result.artifacts)).debcontrol()
    assert (control["Version"], control["Source"]) == ("1.0+b1", "tiny (1.0)")
    changes = Changes(next(a.path for a in result.artifacts if a.kind is ArtifactKind.CHANGES).read_bytes())
    assert changes["Binary-Only"] == "yes"
    assert changes["Source"] == "tiny (1.0)"
    assert changes["Distribution"] == request.suite
    assert "Rebuild for a test." in changes["Changes"]


@pytest.mark.parametrize(("mode", "has_deb"), [("source", False), ("full", True)])
async def test_a_source_build_leaves_a_dsc_that_holds(engine, request_for, log, mode, has_deb):
    request = replace(request_for(), mode=mode)
    result = await engine.build(request, on_log=log.extend)
    names = {artifact.name for artifact in result.artifacts}
    assert any(name.endswith("_source.changes") for name in names) is (mode == "source")
    assert any(name.endswith(".deb") for name in names) is has_deb
    dsc = Dsc((request.result_dir / "tiny_1.0.dsc").read_bytes())
    assert {entry["name"] for entry in dsc["Checksums-Sha256"]} <= names


async def test_a_tree_is_cleaned_packed_and_built_and_not_touched(command, request_for):
    request = request_for()
    tree = request.source_dir / "tiny-1.0"
    (tree / "left-over").write_text("x")
    rules = tree / "debian" / "rules"
    rules.write_text(rules.read_text().replace("clean:\n", "clean:\n\trm -f left-over\n", 1))
    before = sorted(tree.rglob("*"))
    code, shown = await command(tree, "--mode", "full")
    assert code == 0
    assert sorted(tree.rglob("*")) == before
    tarball = next(artifact["path"] for artifact in shown["artifacts"] if ".tar." in artifact["name"])
    listed = (await process.run(["tar", "-tf", tarball])).output
    assert b"debian/rules" in listed
    assert b"left-over" not in listed


async def test_a_tree_that_dpkg_source_refuses_is_a_policy_failure(command, request_for):
    tree = request_for().source_dir / "tiny-1.0"
    (tree / "debian" / "source" / "format").write_text("3.0 (nonsense)\n")
    code, shown = await command(tree, "--no-clean-source")
    assert (code, shown["failure_class"]) == (3, "policy")


@pytest.fixture
def chain(request_for):
    """Three sources, of which the second needs the first, and the third nothing."""
    directory = request_for().source_dir

    def make(*, body="true"):
        first = make_source(directory, name="chain-first", version="9.0", body=body)
        needs = "build-essential, chain-first (>= 9.0)"
        second = make_source(
            directory, name="chain-second", body="cat /usr/share/chain-first/file", build_depends=needs
        )
        return first, second, make_source(directory, name="chain-third")

    return make


async def test_a_later_source_sees_what_an_earlier_one_made_in_the_order_of_their_needs(command, chain):
    first, second, _ = chain()
    code, shown = await command(second, first, "--sort")
    assert code == 0
    assert [(one["source"], one["state"]) for one in shown["sources"]] == [
        ("chain-first", "built"),
        ("chain-second", "built"),
    ]


@pytest.mark.parametrize(("option", "third"), [([], "skipped"), (["--keep-going"], "built")])
async def test_after_a_failure_only_what_does_not_need_it_goes_on_if_asked(command, chain, option, third):
    code, shown = await command(*chain(body="false"), *option)
    assert code == 1
    assert [one["state"] for one in shown["sources"]] == ["failed", "skipped", third]
    assert "chain-first" in shown["sources"][1]["error"]["message"] or not option
    assert shown["sources"][0]["error"]["failure_class"] == "compile"
