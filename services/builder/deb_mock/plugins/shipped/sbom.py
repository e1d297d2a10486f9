"""SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/): what came out, of which source, in which environment."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field

from deb_mock.model import ArtifactKind
from deb_mock.plugins.api import BuildContext, Buildroot, Plugin, PluginOptions, Results, hookimpl
from deb_mock.plugins.installed import InstalledPackage, packages_at_opening
from deb_mock.plugins.naming import stem
from deborch_shared.sources import SourceDescription
from deborch_shared.supply_chain.spdx import DOCUMENT, UNKNOWN, spdx_document, spdx_package, spdx_relation


class SbomOptions(PluginOptions):
    """Options of sbom."""

    environment: bool = Field(True, description="List every package that was installed in the buildroot.")
    namespace: str = Field("urn:deb-mock:spdx", description="Start of the document's namespace, a URI of yours.")


class Sbom(Plugin):
    """One document for a build."""

    name: ClassVar[str] = "sbom"
    summary: ClassVar[str] = "SPDX 2.3 JSON of the results, their source and the build environment."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = SbomOptions
    options: SbomOptions

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._installed: tuple[InstalledPackage, ...] = ()

    @hookimpl
    async def buildroot_opened(self, buildroot: Buildroot) -> None:
        """Before anything of the source package has run, so that it cannot lie."""
        if self.options.environment:
            self._installed = await packages_at_opening(buildroot)

    @hookimpl
    def results_collected(self, build: BuildContext, results: Results) -> None:
        """Write the document."""
        if build.source is None:
            return
        name = stem(build)
        results_parts = list(_results(results))
        source = _source(build.source, build.request.suite)
        environment = [_installed(package, build.request.suite) for package in self._installed]
        document = spdx_document(
            name,
            namespace=self.options.namespace,
            created_at=datetime.fromtimestamp(build.started_at_s, UTC),
            tool="deb-mock",
            packages=[*results_parts, source, *environment],
            relations=list(_relationships(results_parts, source, environment)),
        )
        results.add(f"{name}.spdx.json", json.dumps(document, indent=1).encode())


def _results(results: Results) -> Iterator[dict[str, Any]]:
    for artifact in results.artifacts:
        if artifact.kind in {ArtifactKind.DEB, ArtifactKind.UDEB}:
            name, version, architecture = artifact.name.rsplit(".", 1)[0].split("_", 2)
            identity = f"Result-{artifact.name}"
            yield {
                **spdx_package(identity, name, version, {"arch": architecture}, sha256=artifact.sha256),
                "packageFileName": artifact.name,
                "primaryPackagePurpose": "INSTALL",
            }


def _source(source: SourceDescription, suite: str) -> dict[str, Any]:
    files = ", ".join(f"{file.name} sha256:{file.sha256}" for file in source.files)
    return {
        **spdx_package(f"Source-{source.name}", source.name, source.version, {"arch": "source", "distro": suite}),
        "supplier": f"Person: {source.maintainer}" if source.maintainer else UNKNOWN,
        "primaryPackagePurpose": "SOURCE",
        "sourceInfo": files or "no files beside the .dsc",
    }


def _installed(package: InstalledPackage, suite: str) -> dict[str, Any]:
    identity = f"Environment-{package.name}-{package.architecture}"
    qualifiers = {"arch": package.architecture, "distro": suite}
    entry = spdx_package(identity, package.name, package.version, qualifiers, sha256=package.sha256)
    return {**entry, "sourceInfo": f"built from {package.source} {package.source_version}"}


def _relationships(
    results: list[dict[str, Any]], source: dict[str, Any], environment: list[dict[str, Any]]
) -> Iterator[dict[str, str]]:
    for result in results:
        yield spdx_relation(DOCUMENT, "DESCRIBES", result["SPDXID"])
        yield spdx_relation(result["SPDXID"], "GENERATED_FROM", source["SPDXID"])
    if not results:
        yield spdx_relation(DOCUMENT, "DESCRIBES", source["SPDXID"])
    for package in environment:
        yield spdx_relation(package["SPDXID"], "BUILD_DEPENDENCY_OF", source["SPDXID"])
