"""A tiny signed archive that has what every tree has."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import Gathering, TinyArchive
from tests.openpgp import Signer


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    key = Signer(tmp_path_factory.mktemp("keys") / "archive")
    yield key
    key.close()


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    key = Signer(tmp_path_factory.mktemp("keys") / "stranger")
    yield key
    key.close()


@pytest.fixture
def archive(tmp_path: Path, signer: Signer) -> TinyArchive:
    """Published with base (essential), apt, and web, which depends on library."""
    made = TinyArchive(tmp_path / "archive", signer)
    made.deb("base", essential="yes")
    made.deb("apt", depends="base")
    made.deb("library", "1:2.0-1", source="toolkit (2.0-1)")
    made.deb("web", depends="library (>= 1)", recommends="extra")
    made.deb("extra", architecture="all")
    made.source("web")
    made.publish()
    return made


@pytest.fixture
def gathering(tmp_path: Path, archive: TinyArchive) -> Gathering:
    (tmp_path / "compose").mkdir()
    return Gathering(tmp_path / "compose", archive)
