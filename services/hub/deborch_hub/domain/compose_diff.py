"""What differs between two composes, by their `packages.json` (productmd's shape) and what they delivered."""

from collections.abc import Iterable, Mapping
from typing import Any

from deborch_shared.contract.composes import OutputChange, PackageChange, TargetDiff

Packages = Mapping[tuple[str, str], str]
"""(package, architecture) -> version."""


def packages_by_target(document: Mapping[str, Any]) -> dict[str, Packages]:
    """`VARIANT.ARCHITECTURE` -> its packages. A document of another shape has none."""
    payload = document.get("payload")
    variants = payload.get("packages") if isinstance(payload, dict) else None
    return {
        f"{variant}.{architecture}": dict(_named(sources))
        for variant, architectures in (variants.items() if isinstance(variants, dict) else ())
        if isinstance(architectures, dict)
        for architecture, sources in architectures.items()
        if isinstance(sources, dict)
    }


def _named(sources: Mapping[str, Any]) -> Iterable[tuple[tuple[str, str], str]]:
    """Neither names (Policy 5.6.1) nor versions (5.6.12) hold an underscore."""
    for packages in sources.values():
        for full_name in packages if isinstance(packages, dict) else ():
            name, _, rest = full_name.partition("_")
            version, _, architecture = rest.partition("_")
            yield (name, architecture), version


def target_diffs(
    before: Mapping[str, Packages],
    after: Mapping[str, Packages],
    commits_before: Mapping[str, str],
    commits_after: Mapping[str, str],
) -> list[TargetDiff]:
    """The targets in which anything differs."""
    targets = sorted({*before, *after, *commits_before, *commits_after})
    diffs = [
        TargetDiff(
            target=target,
            packages=package_changes(before.get(target, {}), after.get(target, {})),
            commit_before=commits_before.get(target),
            commit_after=commits_after.get(target),
        )
        for target in targets
    ]
    return [diff for diff in diffs if diff.packages or diff.commit_before != diff.commit_after]


def package_changes(before: Packages, after: Packages) -> list[PackageChange]:
    return [
        PackageChange(package=name, architecture=architecture, before=was, after=now)
        for name, architecture in sorted({*before, *after})
        if (was := before.get((name, architecture))) != (now := after.get((name, architecture)))
    ]


def output_changes(before: Mapping[str, tuple[str, int]], after: Mapping[str, tuple[str, int]]) -> list[OutputChange]:
    """Files by path, as (digest, size): those that differ."""
    return [
        OutputChange(
            path=path,
            before_bytes=before[path][1] if path in before else None,
            after_bytes=after[path][1] if path in after else None,
        )
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
