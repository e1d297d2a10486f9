"""The packages of a real suite, from the mirror that this host uses."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import Gathering, TinyArchive

from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.packages import Repository

PACKAGES = ("systemd-sysv", "openssh-server")


@dataclass
class RealGathering(Gathering):
    """Keeps lists and .debs for the next session."""

    kept: State | None = None

    @property
    def state(self) -> State:
        return self.kept or super().state


@pytest.fixture
def real(tmp_path: Path, archive: TinyArchive, cached_state: State) -> RealGathering:
    keys: dict[str, Any] = {"suite": "trixie", "mirror": None, "keyrings": (), "kernel": "linux-image-cloud-amd64"}
    return RealGathering(tmp_path / "real", archive, keys, kept=cached_state)


async def test_a_bootable_set_of_trixie_is_complete_in_its_own_small_repository(
    real: RealGathering, gathering: Gathering, tmp_path: Path
):
    gathered = await real.gather(*PACKAGES)
    assert 120 < gathered.facts.package_count < 400
    assert {"libc6", "dracut", "ostree", "ostree-boot", "apt", "bash"} <= gathered.versions.keys()
    assert sum(source.dsc_sha256 is None for source in gathered.lock.sources) == 0
    repository = gathered.directory / "repository"
    own = Repository(name="own", uris=(f"file:{repository}",), suites=("./",), signed_by=str(repository / "key.asc"))
    nothing = TinyArchive(tmp_path / "nothing", gathering.archive.signer)
    nothing.publish()
    again = await gathering.gather(*PACKAGES, kernel="linux-image-cloud-amd64", mirror=nothing.uri, repositories=(own,))
    assert again.versions == gathered.versions
    assert again.facts.lock_sha256 == gathered.facts.lock_sha256
    shutil.rmtree(repository)
