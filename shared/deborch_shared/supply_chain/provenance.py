"""in-toto statements (v1) with a SLSA v1 provenance predicate (https://slsa.dev/spec/v1.0/provenance)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"


def described(name: str, sha256: str) -> dict[str, Any]:
    """A file by its hash."""
    return {"name": name, "digest": {"sha256": sha256}}


def provenance_statement(
    *,
    build_type: str,
    subjects: Sequence[Mapping[str, Any]],
    external: Mapping[str, Any],
    internal: Mapping[str, Any],
    dependencies: Sequence[Mapping[str, Any]],
    builder_id: str,
    invocation: str,
    started_at: datetime,
    finished_at: datetime,
    byproducts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Who made `subjects`, from what, asked how. `build_type` and `builder_id` are URIs."""
    return {
        "_type": _STATEMENT,
        "subject": list(subjects),
        "predicateType": _PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": build_type,
                "externalParameters": dict(external),
                "internalParameters": dict(internal),
                "resolvedDependencies": list(dependencies),
            },
            "runDetails": {
                "builder": {"id": builder_id, "version": {"deb-orchestrator": version("deb-orchestrator")}},
                "metadata": {
                    "invocationId": invocation,
                    "startedOn": _timestamp(started_at),
                    "finishedOn": _timestamp(finished_at),
                },
                "byproducts": list(byproducts),
            },
        },
    }


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
