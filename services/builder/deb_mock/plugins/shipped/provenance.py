"""An in-toto statement (v1) with a SLSA v1 provenance predicate: results, inputs by hash, parameters, builder."""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field

from deb_mock.model import Artifact
from deb_mock.plugins.api import BuildContext, Buildroot, Plugin, PluginOptions, Results, hookimpl
from deb_mock.plugins.installed import InstalledPackage, packages_at_opening
from deb_mock.plugins.naming import stem
from deborch_shared.supply_chain.provenance import described, provenance_statement
from deborch_shared.supply_chain.spdx import package_url

_BUILD_TYPE = "urn:deb-orchestrator:deb-mock:build:v1"


class ProvenanceOptions(PluginOptions):
    """Options of provenance."""

    builder_id: str = Field(
        "urn:deb-mock:local", pattern=r"^[a-z][a-z0-9+.-]*:.+", description="URI of those who run this builder."
    )


class Provenance(Plugin):
    """Written last: enabled after the plug-ins that sign and compress, it names files as they are then."""

    name: ClassVar[str] = "provenance"
    summary: ClassVar[str] = "in-toto statement with SLSA v1 provenance of the results."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = ProvenanceOptions
    options: ProvenanceOptions

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._installed: tuple[InstalledPackage, ...] = ()
        self._dsc_sha256 = ""

    @hookimpl
    async def buildroot_opened(self, build: BuildContext, buildroot: Buildroot) -> None:
        """The inputs, before anything of them has run."""
        self._installed = await packages_at_opening(buildroot)
        self._dsc_sha256 = hashlib.sha256(buildroot.take(build.request.dsc.name)).hexdigest()

    @hookimpl
    def process_log(self, build: BuildContext, results: Results) -> None:
        """Write the statement."""
        name = f"{stem(build)}.intoto.json"
        statement = provenance_statement(
            build_type=_BUILD_TYPE,
            subjects=[_described(artifact) for artifact in results.artifacts if not artifact.name.endswith(".build")],
            external=_parameters(build),
            internal={"base": build.base.name if build.base else None},
            dependencies=[*self._source_files(build), *self._environment(build)],
            builder_id=self.options.builder_id,
            invocation=f"{build.request.build_id}-{uuid.uuid4()}",
            started_at=datetime.fromtimestamp(build.started_at_s, UTC),
            finished_at=datetime.now(UTC),
            byproducts=[_described(each) for each in results.artifacts if each.name.endswith(".build")],
        )
        results.add(name, json.dumps(statement, indent=1).encode())

    def _source_files(self, build: BuildContext) -> list[dict[str, Any]]:
        files = build.source.files if build.source else ()
        return [
            described(build.request.dsc.name, self._dsc_sha256),
            *(described(file.name, file.sha256) for file in files),
        ]

    def _environment(self, build: BuildContext) -> list[dict[str, Any]]:
        found = []
        for package in self._installed:
            qualifiers = {"arch": package.architecture, "distro": build.request.suite}
            entry: dict[str, Any] = {"uri": package_url(package.name, package.version, qualifiers)}
            if package.sha256:
                entry["digest"] = {"sha256": package.sha256}
            found.append(entry)
        return found


def _parameters(build: BuildContext) -> dict[str, Any]:
    request = build.request
    return {
        "source": request.dsc.name,
        "suite": request.suite,
        "architecture": request.architecture,
        "mode": request.mode,
        "profiles": list(request.profiles),
        "buildOptions": list(request.build_options),
        "components": list(request.components),
        "extraRepositories": [repository.name for repository in request.extra_sources],
        "plugins": [setting.name for setting in build.config.plugins if setting.enabled],
    }


def _described(artifact: Artifact) -> dict[str, Any]:
    return described(artifact.name, artifact.sha256)
