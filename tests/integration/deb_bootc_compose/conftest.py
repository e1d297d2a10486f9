"""One state directory below DEBORCH_TEST_CACHE with tools roots and packages: a second session downloads nothing."""

import asyncio
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deb_bootc_compose import ostree
from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.gather.phase import GatherPhase
from deb_bootc_compose.ostree.phase import OstreePhase
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Target
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.phases.progress import Silent
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.roots import open_tools
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.resolving import resolve
from deborch_shared.apt.host import proxies_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and namespaces")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(needs_root)


@pytest.fixture(scope="session")
def cached_state():
    """For caches only: tools roots, .debs. Tests make their own state directory for everything else."""
    default = Path.home() / ".cache" / "deborch-tests"
    return State(Path(os.environ.get("DEBORCH_TEST_CACHE", default)) / "deb-bootc-compose" / "state")


@pytest.fixture(scope="session")
def tools(cached_state):
    return asyncio.run(open_tools(cached_state, proxies=proxies_of(os.environ)))


MINIMAL = """\
name: minimal
suite: trixie
architectures: [amd64]
ref: test/${suite}/${architecture}/minimal
kernel: linux-image-cloud-${architecture}
packages:
  - dracut systemd systemd-sysv udev dbus kmod zstd
  - ostree ostree-boot e2fsprogs libpam-systemd login passwd iproute2
documentation: false
install-langs: [C]
default-target: multi-user.target
units: [systemd-networkd.service]
alternatives: {awk: /usr/bin/mawk}
users: [{name: tester, groups: [sudo], ssh-keys: [ssh-ed25519 AAAA tester]}]
debconf: [{package: tzdata, question: tzdata/Areas, type: select, value: Etc}]
mutate-os-release: {PRETTY_NAME: "Minimal ${version}"}
postprocess: ["#!/bin/bash\\ntest ! -e /sys/class/net/eth0 && dpkg-query -W | wc -l > /usr/lib/package-count"]
automatic-version-prefix: "13"
initramfs:
  omit-modules: [network, network-legacy, nfs, lvm, mdraid, dmraid, crypt, multipath, iscsi, nbd, plymouth]
"""


@dataclass(frozen=True)
class MinimalTree:
    """A minimal Debian, gathered and committed. `state` is the cached one: read it, and make nothing in it."""

    state: State
    treefile: ResolvedTreefile
    gathered: PhaseResult
    committed: PhaseResult

    @property
    def facts(self) -> OstreeFacts:
        return OstreeFacts.model_validate(self.committed.facts)


@pytest.fixture(scope="session")
def phase_work(tools, cached_state, tmp_path_factory):
    """Make the `PhaseWork` of one phase: `phase_work(treefile, gather=result, request=..., state=...)`."""

    def make(treefile, *, state=cached_state, request=None, tools=tools, **results: PhaseResult):
        target = Target(treefile.variant, treefile.architecture)
        return PhaseWork(
            request=request or ComposeRequest(treefile=treefile.directory / "minimal.yaml"),
            compose_id="test",
            target=target,
            treefiles={target: treefile},
            directory=tmp_path_factory.mktemp("phase"),
            results=results,
            all_results={(name, target): result for name, result in results.items()},
            state=state,
            tools=tools,
            progress=Silent(),
            epoch=1_700_000_000,
        )

    return make


@pytest.fixture(scope="session")
def minimal_treefile(tmp_path_factory):
    """Resolved from `MINIMAL`."""
    place = tmp_path_factory.mktemp("treefile") / "minimal.yaml"
    place.write_text(MINIMAL)
    return resolve(place)


@pytest.fixture(scope="session")
def gathered(phase_work, minimal_treefile):
    """The packages of `MINIMAL`, as `gather` leaves them; each .deb is downloaded once on this machine."""
    work = phase_work(minimal_treefile)
    return PhaseResult("gather", work.target, "-", asyncio.run(GatherPhase().run(work)), work.directory)


@pytest.fixture(scope="session")
def minimal_tree(phase_work, minimal_treefile, gathered, cached_state):
    """Made once for each state of the code that makes it, and kept in the cached state."""
    code = sorted(Path(ostree.__file__).parent.glob("*.py"))
    key = digest_of([gathered.facts, MINIMAL, [path.read_text() for path in code]])[:16]
    work = replace(phase_work(minimal_treefile, gather=gathered), compose_id=f"tests-{key}")
    kept = cached_state.root / "minimal" / f"{key}.json"
    phase = OstreePhase()
    if kept.exists():
        result = PhaseResult("ostree", work.target, key, json.loads(kept.read_text()), work.directory)
        if asyncio.run(phase.holds(work, result)):
            return MinimalTree(cached_state, minimal_treefile, gathered, result)
    facts = asyncio.run(phase.run(work))
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(facts))
    result = PhaseResult("ostree", work.target, key, facts, work.directory)
    return MinimalTree(cached_state, minimal_treefile, gathered, result)
