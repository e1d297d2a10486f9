"""Which packages stand in which index."""

from datetime import UTC, datetime

from deborch_hub.archives.indices import Index, IndexKind, changed_blocks, indices_of
from deborch_hub.archives.release import FileSum, release_text, sources_text
from deborch_hub.domain.packages import ListedBinary, PoolFile
from deborch_hub.store.archive_contents import ArchiveChanges
from deborch_shared.ids import Sha256
from deborch_shared.versions import sort_key

AMD64 = Index(IndexKind.BINARY, "amd64")
ARM64 = Index(IndexKind.BINARY, "arm64")
INSTALLER = Index(IndexKind.INSTALLER, "amd64")


def binary(version, architecture, *, package="tool", udeb=False):
    control = f"Package: {package}\nVersion: {version}\nArchitecture: {architecture}"
    file = PoolFile(f"{package}.deb", Sha256("ab" * 32), 1)
    return ListedBinary(package, version, sort_key(version), architecture, udeb, control, file)


def versions(index: Index, *binaries: ListedBinary, count: int = 1) -> list[str]:
    blocks = changed_blocks(index, ArchiveChanges(binaries, ()), count)
    return [line[9:] for line in (blocks["tool"] or b"").decode().splitlines() if line.startswith("Version: ")]


def test_packages_for_all_architectures_stand_in_the_index_of_each():
    for index in (AMD64, ARM64):
        assert versions(index, binary("1", "all")) == ["1"]


def test_a_package_that_became_architecture_specific_stays_where_it_is_not_built_yet():
    binaries = [binary("1", "all"), binary("2", "amd64")]
    assert versions(AMD64, *binaries) == ["2"]
    assert versions(ARM64, *binaries) == ["1"]


def test_what_an_index_does_not_list_is_named_as_absent():
    assert changed_blocks(ARM64, ArchiveChanges([binary("1", "amd64")], ()), 1) == {"tool": None}


def test_udebs_stand_in_the_installers_index_only():
    assert versions(AMD64, binary("1", "amd64", udeb=True)) == []
    assert versions(INSTALLER, binary("1", "amd64", udeb=True)) == ["1"]


def test_as_many_versions_are_listed_as_the_policy_says_newest_first():
    assert versions(AMD64, *(binary(version, "amd64") for version in ("1", "10", "9")), count=2) == ["10", "9"]


def test_release_names_plain_and_packed_indices_and_no_architecture_all():
    text = release_text(
        target="t1",
        origin="o",
        architectures=["amd64", "arm64"],
        at=datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC),
        files=[FileSum("main/x", "00", 1), FileSum("main/x.gz", "11", 22)],
    ).decode()
    assert "\nDate: Sun, 01 Nov 2026 02:03:04 UTC\n" in text
    assert "\nArchitectures: amd64 arm64\n" in text
    assert "Valid-Until" not in text
    assert text.endswith("SHA256:\n 00            1 main/x\n 11           22 main/x.gz\n")


def test_the_sources_file_carries_the_key_with_its_empty_lines_marked():
    text = sources_text(target="t1", uri="http://h/archives/t1", architectures=["amd64"], public_key="BEGIN\n\nabc\n")
    assert text.endswith("Signed-By:\n BEGIN\n .\n abc\n")
    assert "\nSuites: t1\n" in text


def test_an_archive_has_the_indices_of_each_architecture_and_one_of_sources():
    assert [index.path for index in indices_of(["amd64"])] == [
        "main/binary-amd64/Packages",
        "main/debian-installer/binary-amd64/Packages",
        "main/source/Sources",
    ]
