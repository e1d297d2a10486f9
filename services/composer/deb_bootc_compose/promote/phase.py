"""The phase `promote.refs`: what a compose committed becomes what clients pull."""

from collections import defaultdict
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failures_are
from deb_bootc_compose.ostree.parent import published_repository
from deb_bootc_compose.phases.api import PhaseWork, Scope, Target
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.promote.acts import open_published
from deb_bootc_compose.promote.published import PublishedRepository, Release
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class PromoteRefs(BarePhase):
    """Everything is brought first; then refs move, one after the other; the summary is last."""

    name = "promote.refs"
    scope = Scope.COMPOSE
    needs = ("ostree",)
    after = ("lint", "test", "output", "metadata")
    cacheable = False

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        return request.promote

    async def inputs(self, work: PhaseWork) -> JsonObject:  # noqa: ARG002
        return {}

    async def run(self, work: PhaseWork) -> JsonObject:
        """Publish the commits of all targets."""
        by_repository: dict[Path, list[Target]] = defaultdict(list)
        for target, treefile in sorted(work.treefiles.items()):
            if ("ostree", target) in work.all_results:
                by_repository[published_repository(work.state, treefile)].append(target)
        moved: dict[str, str] = {}
        with failures_are(FailureClass.PROMOTION):
            for directory, targets in by_repository.items():
                settings = work.treefiles[targets[0]].ostree
                opened = open_published(directory, work.tools, settings, work.progress.log, sign=work.request.sign)
                async with opened as published, published.alone():
                    moved |= await _publish(work, published, [_release(work, target) for target in targets])
        return {"refs": moved}


def _release(work: PhaseWork, target: Target) -> Release:
    facts = OstreeFacts.model_validate(work.all_results["ostree", target].facts)
    return Release(facts.ref, facts.commit, facts.parent)


async def _publish(work: PhaseWork, published: PublishedRepository, releases: list[Release]) -> dict[str, str]:
    """Nothing is brought if any ref has moved meanwhile, and no ref moves before all is brought."""
    pending = [release for release in releases if await published.check(release)]
    for release in pending:
        work.progress.step(f"publishing {release.ref}")
        await published.bring(release, work.state.work_repository)
    for release in pending:
        await published.move(release.ref, release.commit)
    if not await published.has_summary_of([release.ref for release in releases]):
        work.progress.step("writing the summary")
        await published.update_summary()
    if pending:
        await published.prune([release.ref for release in pending])
        await published.update_summary()
    return {release.ref: release.commit for release in releases}
