"""The phase `lint`: no output is made of a tree that breaks a rule of bootable containers."""

import asyncio

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.lint.checks import LINTS
from deb_bootc_compose.lint.report import Finding, failed, lint
from deb_bootc_compose.lint.root import CommitRoot
from deb_bootc_compose.outputs.commit_tree import CommitTree
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


class LintTree(BarePhase):
    """Fatal checks end the compose, warnings go to the log and into the facts."""

    name = "lint"
    needs = ("ostree",)

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        """A container that is not booted is free to be otherwise."""
        return treefile is not None and not treefile.container

    async def inputs(self, work: PhaseWork) -> JsonObject:  # noqa: ARG002
        return {"checks": list(LINTS)}

    async def run(self, work: PhaseWork) -> JsonObject:
        commit = OstreeFacts.model_validate(work.results["ostree"].facts).commit
        work.progress.step("reading the commit")
        tree = await CommitTree.of(work.state.work_repository, commit, work.tools)
        findings = await asyncio.to_thread(lambda: lint(CommitRoot(tree)))
        for finding in findings:
            work.progress.log(_line(finding).encode("utf-8", "backslashreplace"))
        error = failed(findings)
        if error is not None:
            raise error
        return {"checks": {finding.name: finding.verdict.value for finding in findings}}


def _line(finding: Finding) -> str:
    return f"{finding.name}: {finding.verdict}{''.join(f'{chr(10)}  {text}' for text in finding.texts)}\n"
