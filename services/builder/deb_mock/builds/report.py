"""What is told about a build when it ends, successful or not: the summary in its log, and the report for programs.

Facts are gathered as they become known, so that a build that fails early has a report too.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from deb_mock.installed import InstalledPackage, digest_of
from deb_mock.model import Artifact, Base, BuildRequest, CheckResult, StageTime
from deb_mock.plans import build_plan
from deb_mock.sources.package import SourcePackage
from deb_mock.stages import log_sections
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError

FORMAT = "deb-mock-report/1"
SUCCESSFUL, FAILED, CANCELED = "successful", "failed", "canceled"


@dataclass(slots=True)
class BuildReport:
    """The facts of one build."""

    request: BuildRequest
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    package: SourcePackage | None = None
    base: Base | None = None
    layers: tuple[Path, ...] = ()
    dependency_cache: Literal["hit", "miss"] = "miss"
    missing_versions: tuple[str, ...] = ()
    installed: tuple[InstalledPackage, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    build_path: str = ""
    in_memory: bool = False
    artifacts: Sequence[Artifact] = ()
    checks: tuple[CheckResult, ...] = ()
    refusal: DeborchError | None = None
    """What a check that gates says of a build that made its packages."""

    @property
    def log_name(self) -> str:
        """As sbuild calls it."""
        return build_plan.log_name(self.request)

    def begin_log(self, steps: Steps) -> None:
        """What is built, where, and by what."""
        request = self.request
        steps.head(f"{request.dsc.stem} ({request.architecture})", f"{self.started_at:%Y-%m-%dT%H:%M:%SZ}")
        machine = os.uname()
        steps.note(
            (
                ("Source", request.dsc.name),
                ("Suite", request.suite),
                ("Components", " ".join(request.components)),
                ("Architecture", request.architecture),
                ("Mode", request.mode),
                ("Profiles", " ".join(request.profiles)),
                ("Build options", " ".join(request.build_options)),
                ("Parallel", request.parallel),
                ("Extra repositories", " ".join(repository.name for repository in request.extra_sources)),
                ("Time limit", f"{request.timeout_s:g} s"),
                ("Log limit", f"{request.log_limit_bytes} bytes"),
                ("Built by", f"deb-mock {_version()}"),
                ("Machine", f"{machine.nodename}, {machine.sysname} {machine.release}, {machine.machine}"),
            )
        )

    def took_source(self, package: SourcePackage, steps: Steps) -> None:
        """The source package was read and holds."""
        self.package = package
        steps.note((("Package", package.description.name), ("Version", package.description.version)))
        digest = hashlib.sha256(package.text).hexdigest()
        steps.note([(package.dsc.name, f"{len(package.text)} bytes, SHA-256 {digest}")])
        steps.note((each.name, f"{each.size_bytes} bytes, SHA-256 {each.sha256}") for each in package.description.files)

    def took_base(self, base: Base, steps: Steps) -> None:
        """There is a base."""
        self.base = base
        made_at = datetime.fromtimestamp(base.made_at_s, UTC)
        steps.note((("Base", base.name), ("Made", f"{made_at:%Y-%m-%dT%H:%M:%SZ}")))

    def end_log(self, steps: Steps, outcome: str, error: DeborchError | None) -> None:
        """The summary."""
        fields = error.fields if error is not None else {}
        steps.section(log_sections.SUMMARY)
        package = self.package.description if self.package else None
        steps.note(
            (
                ("Package", package.name if package else ""),
                ("Version", package.version if package else ""),
                ("Suite", self.request.suite),
                ("Host Architecture", self.request.host_architecture or self.request.architecture),
                ("Started", f"{self.started_at:%Y-%m-%dT%H:%M:%SZ}"),
                ("Build-Time", f"{steps.elapsed_s:.2f} s"),
                ("Space", f"{sum(artifact.size_bytes for artifact in self.artifacts)} bytes of results"),
            )
        )
        steps.note((f"Stage {time.stage.value}", _costs(time)) for time in steps.times)
        steps.note(("First-Line", f"{line['number']}: {line['text']}") for line in fields.get("first_lines", ()))
        steps.note((f"Check {check.name}", f"{check.status.value}: {check.summary}") for check in self.checks)
        steps.note(
            (
                ("Error", " ".join(error.message.split()) if error is not None else ""),
                ("Missing", ", ".join(fields.get("missing", ()))),
                ("Status", outcome),
                ("Fail-Stage", fields.get("stage", "")),
                ("Failure-Class", fields.get("failure_class", "")),
            )
        )

    def as_json(self, steps: Steps, outcome: str, error: DeborchError | None) -> str:
        """The whole report."""
        return json.dumps(self.as_dict(steps, outcome, error), indent=1, default=str) + "\n"

    def as_dict(self, steps: Steps, outcome: str, error: DeborchError | None) -> dict[str, Any]:
        """Times in seconds, sizes in bytes; what is not known is null or empty."""
        return {
            "format": FORMAT,
            "deb_mock_version": _version(),
            "outcome": outcome,
            "failure": _failure(error),
            "source": _source(self.package, self.request),
            "request": _request(self.request),
            "base": _base(self.base),
            "dependencies": {"cache": self.dependency_cache, "layers": [layer.name for layer in self.layers]},
            "missing_versions": self.missing_versions,
            "installed": {
                "sha256": digest_of(self.installed) if self.installed else None,
                "packages": [str(package) for package in self.installed],
            },
            "build_path": self.build_path,
            "in_memory": self.in_memory,
            "environment": dict(self.environment),
            "started_at": self.started_at.isoformat(),
            "wall_s": round(steps.elapsed_s, 3),
            "stages": stages_as_dicts(steps.times),
            "checks": [asdict(check) for check in self.checks],
            "log": {"name": self.log_name, "sections": [asdict(section) for section in steps.sections]},
            "artifacts": [
                {"name": each.name, "kind": each.kind, "sha256": each.sha256, "size_bytes": each.size_bytes}
                for each in self.artifacts
            ],
        }


def stages_as_dicts(times: Sequence[StageTime]) -> list[dict[str, Any]]:
    """Each stage with all that is known about its cost."""
    return [
        {name: round(value, 3) if isinstance(value, float) else value for name, value in _flat(time).items()}
        for time in times
    ]


def _flat(time: StageTime) -> dict[str, Any]:
    flat = asdict(time)
    use = flat.pop("use")
    return {**flat, **use}


def _costs(time: StageTime) -> str:
    costs = {name: value for name, value in _flat(time).items() if name != "stage" and value}
    shown = (f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in costs.items())
    return ", ".join(shown)


def _version() -> str:
    try:
        return metadata.version("deb-orchestrator")
    except metadata.PackageNotFoundError:
        return "unknown"


def _failure(error: DeborchError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    fields = dict(error.fields)
    return {
        "class": fields.pop("failure_class", None),
        "stage": fields.pop("stage", None),
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "first_lines": fields.pop("first_lines", []),
        "fields": fields,
    }


def _source(package: SourcePackage | None, request: BuildRequest) -> dict[str, Any]:
    if package is None:
        return {"dsc": request.dsc.name}
    return {
        "dsc": package.dsc.name,
        "dsc_sha256": hashlib.sha256(package.text).hexdigest(),
        "name": package.description.name,
        "version": package.description.version,
        "files": [
            {"name": file.name, "sha256": file.sha256, "size_bytes": file.size_bytes}
            for file in package.description.files
        ],
    }


def _request(request: BuildRequest) -> dict[str, Any]:
    return {
        "suite": request.suite,
        "components": request.components,
        "architecture": request.architecture,
        "host_architecture": request.host_architecture or request.architecture,
        "mode": request.mode,
        "profiles": request.profiles,
        "build_options": request.build_options,
        "parallel": request.parallel,
        "surroundings": asdict(request.surroundings),
        "timeout_s": request.timeout_s,
        "log_limit_bytes": request.log_limit_bytes,
        "extra_repositories": [
            {"name": each.name, "sha256": hashlib.sha256(each.deb822.encode()).hexdigest()}
            for each in request.extra_sources
        ],
    }


def _base(base: Base | None) -> dict[str, Any] | None:
    if base is None:
        return None
    return {
        "name": base.name,
        "suite": base.suite,
        "architecture": base.architecture,
        "components": base.components,
        "made_at": datetime.fromtimestamp(base.made_at_s, UTC).isoformat(),
    }
