"""`repo-packages`: packages that have to come from one repository."""

from pathlib import Path

import pytest

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.failures import exit_code
from deb_bootc_compose.gather import origins
from deb_bootc_compose.gather.lock import LockedPackage
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.resolving import resolve
from deborch_shared.errors import DeborchError


@pytest.fixture
def treefile(tmp_path: Path) -> ResolvedTreefile:
    path = tmp_path / "tree.yaml"
    path.write_text(
        "suite: trixie\nkernel: linux-image-amd64\n"
        "repositories: [{name: own, uris: [https://own.example/a, https://two.example/b], suites: [s]}]\n"
        "repo-packages: [{repo: own, packages: [hello, world]}]\n"
    )
    return resolve(path)


def archive(name: str, uri: str) -> Archive:
    return Archive(name, uri, ("s",), ("main",), ())


def package(name: str, repository: str) -> LockedPackage:
    return LockedPackage.model_validate(
        {
            "name": name, "version": "1", "architecture": "amd64", "sha256": "0" * 64, "size_bytes": 1,
            "installed_kib": 1, "source": name, "source_version": "1", "repository": repository, "path": "pool/x.deb",
        }
    )  # fmt: skip


def test_apt_is_told_to_take_them_from_each_address_of_the_repository(treefile):
    archives = [
        archive("suite", "http://debian.example/debian"),
        archive("own", "https://own.example/a"),
        archive("own-2", "https://two.example/b"),
        archive("owner", "https://owner.example"),
    ]
    found = origins.pins(treefile, archives)
    assert [(one.package, one.pin) for one in found] == [
        ("hello world", 'origin "own.example"'),
        ("hello world", 'origin "two.example"'),
    ]
    assert all(one.pin_priority > 1000 for one in found)


def test_one_that_comes_from_elsewhere_is_refused(treefile):
    origins.check(treefile, [package("hello", "own"), package("world", "own-2"), package("libc6", "suite")])
    with pytest.raises(DeborchError, match="hello 1 is from suite, and repo-packages wants it from own") as caught:
        origins.check(treefile, [package("hello", "suite")])
    assert exit_code(caught.value) == 4
