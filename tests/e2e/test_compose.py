"""From a treefile to files at the hub, through broker, builder and composer, with a package that our builder built."""

import subprocess
from pathlib import Path

from tests.e2e.conftest import Sources
from tests.e2e.running import Cli

TREEFILE = """\
name: own
suite: {suite}
container: true
packages: [apt, tiny]
documentation: false
outputs: [tar]
sources:
  - source: {dsc}
build:
  target: {target}
repositories:
  - name: own
    target: {target}
"""


def test_a_compose_has_a_package_that_our_own_builder_built(
    cli: Cli, target: str, suite: str, source: Sources, tmp_path: Path
) -> None:
    dsc = source()
    treefile = dsc.parent / "own.yaml"
    treefile.write_text(TREEFILE.format(dsc=dsc.name, target=target, suite=suite))
    cli("compose", "create", treefile, "--watch")
    (compose,) = cli.json("compose", "list")
    assert (compose["name"], compose["state"]) == ("own", "finished")
    (build,) = cli.json("build", "list", "--target", target)
    assert (build["source"], build["state"]) == ("tiny", "completed")
    cli("compose", "download", compose["id"], "--to", tmp_path / "made")
    (tree,) = (tmp_path / "made").rglob("*.tar*")
    names = subprocess.run(["tar", "-tf", tree], check=True, capture_output=True, text=True).stdout
    assert "dpkg/info/tiny.list" in names
