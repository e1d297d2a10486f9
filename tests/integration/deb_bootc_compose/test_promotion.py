"""Publishing commits with real ostree and a real key: what clients see, before, during and after."""

from dataclasses import replace
from typing import Any

import pytest
from tests.openpgp import Signer

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.ostree.committing import commit_tree
from deb_bootc_compose.phases.api import PhaseResult, Target
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.promote.acts import history, open_published, roll_back
from deb_bootc_compose.promote.phase import PromoteRefs
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.port import Bound
from deb_bootc_compose.treefile.outputs import OstreeMode, OstreeSettings
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import DeborchError

REF = "test/amd64"


class Killed(BaseException):
    """As SIGKILL: nothing of ours runs afterwards but what unwinds."""


class DyingTools:
    """Real tools, until ostree is asked for `command`."""

    def __init__(self, tools, command) -> None:
        self._tools, self._command = tools, command
        self.digest = tools.digest

    async def run(self, argv, **options: Any):
        if argv[1] == self._command:
            raise Killed
        return await self._tools.run(argv, **options)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    made = Signer(tmp_path_factory.mktemp("gpg") / "home")
    yield made
    made.close()


@pytest.fixture
def fingerprint(signer, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(signer._home))
    lines = signer.gpg("--list-keys", "--with-colons").decode().splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr"))


@pytest.fixture
def state(tmp_path):
    return State(tmp_path / "state")


@pytest.fixture
def treefile(tmp_path, fingerprint):
    return ResolvedTreefile(
        name="t",
        variant="t",
        architecture="amd64",
        directory=tmp_path,
        suite="trixie",
        ref=REF,
        ostree=OstreeSettings(sign=fingerprint, keep=2),
    )


@pytest.fixture
def composed(state, tools, treefile, phase_work):
    """`composed(content, parent)`: a commit in the work repository, and the work of promoting it."""

    async def make(content, parent=None, tools=tools):
        repository = OstreeRepository(state.work_repository, tools)
        await repository.ensure(OstreeMode.BARE)
        root = state.scratch / "root"
        (root / "usr").mkdir(parents=True)
        (root / "usr" / "content").write_text(content * 1000)
        commit = await commit_tree(
            repository,
            root,
            ref=REF,
            parent=parent,
            epoch=1_700_000_000 + len(content),
            metadata={"version": content},
            on_output=lambda _: None,
        )
        facts = OstreeFacts(
            commit=commit,
            content_checksum="",
            ref=REF,
            version=content,
            parent=parent,
            kernel_version=None,
            package_count=0,
            tree_bytes=0,
            epoch=0,
        )
        result = PhaseResult("ostree", Target("t", "amd64"), "-", facts.model_dump(mode="json"), state.root)
        return commit, phase_work(treefile, state=state, ostree=result)

    return make


async def test_commits_are_published_signed_with_deltas_and_can_be_rolled_back(
    composed, state, tools, treefile, signer, tmp_path
):
    first, work = await composed("one")
    assert await PromoteRefs().run(work) == {"refs": {REF: first}}
    second, work = await composed("second", first)
    await PromoteRefs().run(work)
    assert await PromoteRefs().run(work) == {"refs": {REF: second}}, "what is published already is no error"
    published = OstreeRepository(state.published_repository, tools)
    assert await published.resolve(REF) == second
    deltas = (await published.ostree("static-delta", "list")).output.decode().split()
    assert f"{first}-{second}" in deltas
    await _pulls(tools, state, signer, tmp_path / "client", second)
    assert [info.version for info in await history(state.published_repository, tools, REF)] == ["second", "one"]

    opened = open_published(state.published_repository, tools, treefile.ostree, lambda _: None, sign=True)
    async with opened as repository:
        assert await roll_back(repository, REF, to=first[:12]) == (second, first)
        with pytest.raises(DeborchError, match="no earlier commit"):
            await roll_back(repository, REF)
        with pytest.raises(DeborchError, match="moved meanwhile"):
            await roll_back(repository, REF, expected=second)
    assert await published.resolve(REF) == first
    await _pulls(tools, state, signer, tmp_path / "client-after", first)
    unsigned = open_published(state.published_repository, tools, treefile.ostree, lambda _: None, sign=False)
    async with unsigned as repository:
        with pytest.raises(DeborchError, match="is signed, and there is no key"):
            async with repository.alone():
                pass
    assert not list(tmp_path.rglob("keyring.*"))


async def _pulls(tools, state, signer, directory, expected):
    """A client that trusts the key alone gets what it should."""
    client = OstreeRepository(directory, tools)
    await client.ensure(OstreeMode.ARCHIVE)
    (directory / "key.gpg").write_bytes(signer.gpg("--export"))
    url = f"file://{state.published_repository}"
    imported = f"--gpg-import={directory / 'key.gpg'}"
    await client.ostree("remote", "add", imported, "--set=gpg-verify-summary=true", "r", url, writes=True)
    await client.ostree("pull", f"r:{REF}", writes=True, bound=(Bound(state.published_repository),))
    refs = await client.ostree("rev-parse", f"r:{REF}")
    assert refs.output.decode().strip() == expected


async def test_a_ref_that_moved_meanwhile_is_left_where_it_is_and_nothing_is_brought(composed, state, tools):
    first, work = await composed("one")
    await PromoteRefs().run(work)
    late, work = await composed("late")
    with pytest.raises(DeborchError, match=f"{REF} moved meanwhile.*is at commit {first[:12]}") as caught:
        await PromoteRefs().run(work)
    assert caught.value.fields["failure_class"] == "promotion"
    published = OstreeRepository(state.published_repository, tools)
    assert await published.resolve(REF) == first
    assert not await published.has_commit(late)


@pytest.mark.parametrize("command", ["gpg-sign", "static-delta", "refs"])
async def test_whoever_is_killed_before_the_ref_moves_leaves_clients_what_they_had(composed, state, tools, command):
    first, work = await composed("one")
    await PromoteRefs().run(work)
    second, work = await composed("second", first)
    dying = _with_tools(work, DyingTools(tools, command))
    with pytest.raises(Killed):
        await PromoteRefs().run(dying)
    published = OstreeRepository(state.published_repository, tools)
    assert await published.resolve(REF) == first
    assert await PromoteRefs().run(work) == {"refs": {REF: second}}
    assert await published.resolve(REF) == second


async def test_a_summary_that_was_not_written_is_written_by_the_next_promotion(
    composed, state, tools, signer, tmp_path
):
    first, work = await composed("one")
    with pytest.raises(Killed):
        await PromoteRefs().run(_with_tools(work, DyingTools(tools, "summary")))
    assert not (state.published_repository / "summary").exists()
    await PromoteRefs().run(work)
    await _pulls(tools, state, signer, tmp_path / "client", first)


def _with_tools(work, tools):
    return replace(work, tools=tools)


async def test_only_the_commits_that_are_to_be_kept_are_kept(composed, state, tools):
    commits = [None]
    for content in ("a", "bb", "ccc"):
        commit, work = await composed(content, commits[-1])
        await PromoteRefs().run(work)
        commits.append(commit)
    published = OstreeRepository(state.published_repository, tools)
    assert [await published.has_commit(commit) for commit in commits[1:]] == [False, True, True]


async def test_a_key_that_is_not_there_is_explained_before_anything_is_published(
    composed, state, tools, tmp_path, monkeypatch
):
    _, work = await composed("one")
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(empty))
    with pytest.raises(DeborchError, match="no secret key") as caught:
        await PromoteRefs().run(work)
    assert caught.value.fields["failure_class"] == "signature"
    assert not state.published_repository.exists()
