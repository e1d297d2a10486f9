"""The adapter over the real engine: resumed by reference, reported phase by phase, nothing promoted."""

from pathlib import Path

import pytest
from tests.unit.deb_bootc_compose.fakes import AMD64, FakePhase, engine

from deb_bootc_compose.engine import Engine
from deborch_composer.bootc_engine import BootcEngine
from deborch_composer.engine_port import EngineOrder, Node, PhaseEnd
from deborch_shared.contract.composes import ComposeOrder, TreeFileRef
from deborch_shared.errors import DeborchError, ErrorCode

ORDER = ComposeOrder(treefile="a.yaml", files=(TreeFileRef(path="a.yaml", sha256="0" * 64, size_bytes=1),))


class Watcher:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.resumed = False
        self.ends: dict[str, PhaseEnd] = {}
        self.logs: dict[str, bytes] = {}

    def planned(self, name: str, nodes: object, *, resumed: bool) -> None:
        self.names.append(name)
        self.resumed = resumed

    def began(self, node: Node, tries: int) -> None:
        pass

    def step(self, node: Node, step: str, done: float, total: float) -> None:
        pass

    def log(self, node: Node, chunk: bytes) -> None:
        self.logs[str(node)] = self.logs.get(str(node), b"") + chunk

    def ended(self, end: PhaseEnd) -> None:
        self.ends[str(end.node)] = end


class Broken:
    """A phase that fails until it is mended."""

    def __init__(self) -> None:
        self.error: DeborchError | None = DeborchError(
            ErrorCode.BUILD_FAILED, "it broke", hint="mend it", failure_class="tree"
        )

    async def __call__(self, work: object) -> dict[str, object]:
        if self.error is not None:
            raise self.error
        return {}


@pytest.fixture
def broken() -> Broken:
    return Broken()


@pytest.fixture
def made(tmp_path: Path, broken: Broken) -> Engine:
    return engine(tmp_path / "state", [FakePhase("one"), FakePhase("two", "one", does=broken)])


def order(reference: str = "hub-7", **changes: object) -> EngineOrder:
    return EngineOrder(reference, Path("/work/7/tree"), ORDER.model_copy(update=changes))


async def test_a_failure_is_told_with_its_class_and_the_next_attempt_resumes(made: Engine, broken: Broken) -> None:
    adapter, first, second = BootcEngine(made, workers=1), Watcher(), Watcher()
    failed = await adapter.compose(order(), first)
    assert (failed.outcome, failed.failure_class) == ("failed", "tree")
    assert "mend it" in failed.message
    assert first.ends[f"two.{AMD64}"].state == "failed"
    broken.error = None
    assert (await adapter.compose(order(), second)).outcome == "finished"
    assert second.resumed
    assert second.names == first.names
    assert second.ends[f"one.{AMD64}"].state == "reused"


async def test_a_finished_compose_of_that_reference_is_made_anew_from_its_finished_phases(
    made: Engine, broken: Broken
) -> None:
    broken.error = None
    adapter, first, second = BootcEngine(made, workers=1), Watcher(), Watcher()
    await adapter.compose(order(), first)
    assert (await adapter.compose(order(), second)).outcome == "finished"
    assert not second.resumed
    assert {end.state for end in second.ends.values()} == {"reused"}


async def test_another_order_under_a_reference_that_was_used_before_resumes_nothing(
    made: Engine, broken: Broken
) -> None:
    adapter, first, second = BootcEngine(made, workers=1), Watcher(), Watcher()
    await adapter.compose(order(), first)
    broken.error = None
    assert (await adapter.compose(order(label="RC-1.0"), second)).outcome == "finished"
    assert not second.resumed
    assert second.names != first.names


async def test_the_engine_promotes_nothing(made: Engine, broken: Broken) -> None:
    broken.error = None
    watcher = Watcher()
    await BootcEngine(made, workers=3).compose(order(), watcher)
    found = made.find("hub-7")
    assert found is not None
    assert found.description is not None
    asked = found.description["request"]
    assert (asked["promote"], asked["workers"], asked["treefile"]) == (False, 3, "/work/7/tree/a.yaml")


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"ostree": {"repo": "/srv/ostree"}}, "ostree.repo"),
        ({"oci": {"sign": "../../../etc/shadow"}}, "oci.sign"),
        ({"registry": {"credentials": "/root/.docker/config.json"}}, "registry.credentials"),
        ({"repositories": [{"name": "a", "uris": ["file:/root/a"], "suites": ["./"]}]}, "repositories.uris"),
        ({"mirror": "copy:/root/mirror"}, "mirror"),
    ],
)
async def test_a_treefile_from_the_hub_names_nothing_on_this_host_but_what_is_allowed(
    tmp_path: Path, keys: dict[str, object], key: str
) -> None:
    phase = FakePhase("one")
    made = engine(tmp_path, [phase], directory=Path("/work/7/tree"), **keys)

    with pytest.raises(DeborchError, match="on the composer's host") as refused:
        await BootcEngine(made, workers=1).compose(order(), Watcher())

    assert (refused.value.code, refused.value.fields["key"]) == (ErrorCode.UNSAFE_PATH, key)
    assert phase.runs == []
    allowed = [Path("/srv"), Path("/etc"), Path("/root")]
    assert (await BootcEngine(made, workers=1, allowed=allowed).compose(order(), Watcher())).outcome == "finished"
