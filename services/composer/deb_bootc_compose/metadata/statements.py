"""The SBOM and the provenance of one target."""

from collections.abc import Sequence
from datetime import UTC, datetime

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.gather.lock import Lock, LockedPackage
from deb_bootc_compose.metadata.images import Image
from deb_bootc_compose.phases.api import PhaseWork, Target
from deb_bootc_compose.phases.facts import OstreeFacts
from deborch_shared.supply_chain.provenance import described, provenance_statement
from deborch_shared.supply_chain.spdx import DOCUMENT, package_url, spdx_document, spdx_package, spdx_relation

BUILD_TYPE = "urn:deb-orchestrator:deb-bootc-compose:compose:v1"
LOCAL_BUILDER = "urn:deb-bootc-compose:local"
_NAMESPACE = "urn:deb-bootc-compose:spdx"
_TREE = "Tree"


def sbom(work: PhaseWork, target: Target, lock: Lock, ostree: OstreeFacts, installed: frozenset[str]) -> JsonObject:
    """SPDX 2.3 of the packages that dpkg's database in the commit names (`installed`: NAME:ARCHITECTURE=VERSION)."""
    treefile = work.treefiles[target]
    name = f"{treefile.name}-{target.variant}-{ostree.version}.{target.architecture}"
    tree = {
        **spdx_package(_TREE, f"{treefile.name}-{target.variant}", ostree.version, {"arch": target.architecture}),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "sourceInfo": f"OSTree commit {ostree.commit}, content {ostree.content_checksum}",
    }
    del tree["externalRefs"]
    parts = [
        _packaged(one, lock.suite)
        for one in lock.packages
        if f"{one.name}:{one.architecture}={one.version}" in installed
    ]
    relations = [spdx_relation(DOCUMENT, "DESCRIBES", tree["SPDXID"])]
    relations += [spdx_relation(tree["SPDXID"], "CONTAINS", part["SPDXID"]) for part in parts]
    return spdx_document(
        name,
        namespace=_NAMESPACE,
        created_at=datetime.fromtimestamp(ostree.epoch, UTC),
        tool="deb-bootc-compose",
        packages=[tree, *parts],
        relations=relations,
    )


def _packaged(package: LockedPackage, suite: str) -> JsonObject:
    identity = f"Package-{package.name}-{package.architecture}"
    qualifiers = {"arch": package.architecture, "distro": suite}
    entry = spdx_package(identity, package.name, package.version, qualifiers, sha256=package.sha256)
    return {**entry, "sourceInfo": f"built from {package.source} {package.source_version}"}


def installed_in(status: str) -> frozenset[str]:
    """NAME:ARCHITECTURE=VERSION of what is installed, by the text of dpkg's status file."""
    found: set[str] = set()
    for stanza in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            found.add(f"{fields['Package']}:{fields['Architecture']}={fields['Version']}")
    return frozenset(found)


def provenance(
    work: PhaseWork,
    target: Target,
    lock: Lock,
    ostree: OstreeFacts,
    images: Sequence[Image],
    times: tuple[datetime, datetime],
) -> JsonObject:
    """An in-toto statement: the commit and the images, from these packages, by this treefile, on this builder."""
    treefile = work.treefiles[target]
    builder = work.services.get("builder_id")
    began_at, ended_at = times
    return provenance_statement(
        build_type=BUILD_TYPE,
        subjects=[
            {"name": ostree.ref, "digest": {"sha256": ostree.commit}},
            *(described(image.file.name, image.sha256) for image in images),
        ],
        external={
            "treefile": work.request.treefile.name,
            "variant": target.variant,
            "architecture": target.architecture,
            "variables": dict(work.request.variables),
            "label": work.request.label,
        },
        internal={"treefileDigest": treefile.digest, "lockDigest": lock.digest, "tools": work.tools.digest},
        dependencies=[
            *({"uri": f"file:{name}", "digest": {"sha256": sha256}} for name, sha256 in sorted(treefile.files.items())),
            *(_dependency(package, lock.suite) for package in lock.packages),
        ],
        builder_id=builder if isinstance(builder, str) else LOCAL_BUILDER,
        invocation=work.compose_id,
        started_at=began_at,
        finished_at=ended_at,
    )


def _dependency(package: LockedPackage, suite: str) -> JsonObject:
    url = package_url(package.name, package.version, {"arch": package.architecture, "distro": suite})
    return {"uri": url, "digest": {"sha256": package.sha256}}
