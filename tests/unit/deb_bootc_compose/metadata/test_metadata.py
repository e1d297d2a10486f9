"""What a compose says of itself, from what its phases left."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.deb_bootc_compose.fake_tools import FakeTools
from tests.unit.deb_bootc_compose.fakes import AMD64, request, treefile

from deb_bootc_compose.gather.lock import Lock, LockedPackage
from deb_bootc_compose.metadata.phase import STATUS_FILE, Metadata
from deb_bootc_compose.metadata.statements import installed_in
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork
from deb_bootc_compose.phases.facts import FileFacts, OciFacts, OstreeFacts
from deb_bootc_compose.phases.progress import Silent
from deb_bootc_compose.state.layout import State

STATUS = """\
Package: hello
Status: install ok installed
Architecture: amd64
Version: 2.10-3
Description: greets
 Status: deinstall

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""


def locked(name: str, version: str, architecture: str = "amd64") -> LockedPackage:
    return LockedPackage(
        name=name,
        version=version,
        architecture=architecture,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size_bytes=10,
        installed_kib=20,
        source=name,
        source_version=version,
        repository="debian",
        path=f"pool/{name}.deb",
    )


@pytest.fixture
def work(tmp_path: Path) -> PhaseWork:
    state = State(tmp_path / "state")
    checksum = "c" * 64
    status = state.work_repository / "objects" / checksum[:2] / f"{checksum[2:]}.file"
    status.parent.mkdir(parents=True)
    status.write_text(STATUS)
    gather, oci, raw, mine = (tmp_path / name for name in ("gather", "oci", "raw", "mine"))
    for directory in (gather, oci, raw, mine):
        directory.mkdir()
    (oci / "a.ociarchive").write_bytes(b"image")
    (raw / "a.raw").write_bytes(b"disk")
    Lock(suite="trixie", architecture="amd64", packages=(locked("gone", "1", "all"), locked("hello", "2.10-3"))).write(
        gather
    )
    ostree = OstreeFacts(
        commit="a" * 64, content_checksum="b" * 64, ref="sample", version="13.1", parent=None, kernel_version="6.12",
        package_count=1, tree_bytes=1, epoch=1_700_000_000,
    )  # fmt: skip
    image = OciFacts(archive="a.ociarchive", archive_sha256="1" * 64, manifest_digest="sha256:2", layers=())
    disk = FileFacts(path="a.raw", sha256="3" * 64, size_bytes=4)

    def result(phase: str, facts: Any, directory: Path) -> PhaseResult:
        return PhaseResult(
            phase, AMD64, "", facts if isinstance(facts, dict) else facts.model_dump(mode="json"), directory
        )

    results = [
        result("gather", {}, gather),
        result("ostree", ostree, tmp_path),
        result("output.ociarchive", image, oci),
        result("output.raw", disk, raw),
    ]
    listing = f"d00755 0 0 0 {checksum} {checksum} /\n-00644 0 0 9 {checksum} {STATUS_FILE}\n"
    return PhaseWork(
        request=request(label="RC-1.0"),
        compose_id="sample-13.1-20261127.d.2",
        target=None,
        treefiles={AMD64: treefile(AMD64, custom={"x-team": "edge"}, files={"sample.yaml": "4" * 64})},
        directory=mine,
        results={},
        all_results={(one.phase, one.target): one for one in results},
        state=state,
        tools=FakeTools(lambda _: listing.encode()),
        progress=Silent(),
        epoch=1_700_000_000,
    )


def documents(work: PhaseWork) -> dict[str, Any]:
    facts = asyncio.run(Metadata().run(work))
    return {
        name: orjson.loads((work.directory / name).read_bytes()) for name in facts["files"] if name.endswith(".json")
    }


def test_productmd_files_name_the_compose_its_variants_images_and_packages(work: PhaseWork) -> None:
    made = documents(work)

    compose = made["metadata/composeinfo.json"]["payload"]["compose"]
    assert compose == {
        "id": "sample-13.1-20261127.d.2", "type": "development", "date": "20261127", "respin": 2, "label": "RC-1.0"
    }  # fmt: skip
    variant = made["metadata/composeinfo.json"]["payload"]["variants"]["server"]
    assert (variant["arches"], variant["custom"]) == (["amd64"], {"x-team": "edge"})
    images = made["metadata/images.json"]["payload"]["images"]["server"]["amd64"]
    assert [(image["path"], image["checksums"]["sha256"], image["format"]) for image in images] == [
        ("server/amd64/images/a.ociarchive", "1" * 64, "ociarchive"),
        ("server/amd64/images/a.raw", "3" * 64, "raw"),
    ]
    packages = made["metadata/packages.json"]["payload"]["packages"]["server"]["amd64"]
    assert packages["hello_2.10-3"]["hello_2.10-3_amd64"]["sha256"] == hashlib.sha256(b"hello").hexdigest()


def test_the_sbom_has_what_dpkg_says_is_installed_with_the_hashes_of_the_lock_file(work: PhaseWork) -> None:
    sbom = documents(work)["server/amd64/metadata/sbom.spdx.json"]

    tree, hello = sbom["packages"]
    assert (sbom["spdxVersion"], sbom["creationInfo"]["created"]) == ("SPDX-2.3", "2023-11-14T22:13:20Z")
    assert tree["primaryPackagePurpose"] == "OPERATING-SYSTEM"
    assert hello["checksums"] == [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(b"hello").hexdigest()}]
    assert hello["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/hello@2.10-3?arch=amd64&distro=trixie"
    assert {"spdxElementId": tree["SPDXID"], "relationshipType": "CONTAINS", "relatedSpdxElement": hello["SPDXID"]} in (
        sbom["relationships"]
    )


def test_the_provenance_names_commit_and_images_and_every_input_by_hash(work: PhaseWork) -> None:
    statement = documents(replace(work, services={"builder_id": "https://builds.example/composer"}))[
        "server/amd64/metadata/provenance.intoto.json"
    ]

    assert {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]} == {
        "sample": "a" * 64, "a.ociarchive": "1" * 64, "a.raw": "3" * 64
    }  # fmt: skip
    definition = statement["predicate"]["buildDefinition"]
    inputs = {one["uri"]: one["digest"]["sha256"] for one in definition["resolvedDependencies"]}
    assert inputs["file:sample.yaml"] == "4" * 64
    assert len(inputs) == 3
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "https://builds.example/composer"


def test_the_checksums_cover_images_and_documents(work: PhaseWork) -> None:
    documents(work)

    lines = dict(reversed(line.split("  ")) for line in (work.directory / "SHA256SUMS").read_text().splitlines())
    assert lines["server/amd64/images/a.raw"] == "3" * 64
    info = (work.directory / "metadata/composeinfo.json").read_bytes()
    assert lines["metadata/composeinfo.json"] == hashlib.sha256(info).hexdigest()


def test_only_what_is_installed_is_read_from_the_status_file() -> None:
    assert installed_in(STATUS) == {"hello:amd64=2.10-3"}
