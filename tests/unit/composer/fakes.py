"""Fakes at the composer's ports: a hub in dictionaries, an engine whose phases the test lets go on."""

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.unit.builder import fakes as builder_fakes

from deborch_composer.compose_key import ComposeKey
from deborch_composer.engine_port import EngineOrder, Made, MadeFile, Node, PhaseEnd, Watch
from deborch_shared.contract.composes import (
    ComposeGrant,
    ComposeOrder,
    ComposerRegister,
    ComposerRegistration,
    TreeFileRef,
)
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event, new_event
from deborch_shared.events.composes import ComposeCommit, ComposeRequested

NAME = "c1"
COMMIT = "c" * 64
PHASES = (Node("init"), Node("gather", "server.amd64"), Node("ostree", "server.amd64"))


class FakeHub(builder_fakes.FakeHub):
    """Grants each compose once, until the test gives it up."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[int, ComposeOrder] = {}
        self.attempts: dict[int, int] = {}
        self.owners: dict[int, str] = {}
        self.phase_logs: dict[tuple[ComposeKey, str], bytes] = {}
        self.over: set[ComposeKey] = set()
        self.objects: dict[str, bytes] = {}
        self.asked_for: list[Sequence[str]] = []
        self.known_refs: dict[str, str] = {}

    def keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256

    def wants(self, compose_id: int, files: Mapping[str, bytes] | None = None, **fields: object) -> Event:
        """A compose that waits, and the call for it."""
        contents = files or {"minimal.yaml": b"ref: a/b\n"}
        refs = [
            TreeFileRef(path=path, sha256=self.keep(content), size_bytes=len(content))
            for path, content in contents.items()
        ]
        order = self.orders[compose_id] = ComposeOrder(treefile=next(iter(contents)), files=tuple(refs), **fields)
        return request(compose_id, order)

    async def register_composer(self, composer: ComposerRegister) -> ComposerRegistration:
        return ComposerRegistration(name=composer.name, queue="", heartbeat_interval_s=5, lease_s=60)

    async def claim(self, compose_id: int, composer: str) -> ComposeGrant:
        self._trouble()
        if compose_id in self.owners or compose_id not in self.orders:
            raise DeborchError(ErrorCode.CONFLICT, f"compose {compose_id} waits for no composer")
        self.owners[compose_id] = composer
        self.attempts[compose_id] = self.attempts.get(compose_id, 0) + 1
        return ComposeGrant(
            compose_id=compose_id,
            attempt=self.attempts[compose_id],
            lease_s=60,
            order=self.orders[compose_id],
            reference=f"hub-{compose_id}",
        )

    async def append_log(self, key: ComposeKey, node: str, offset: int, chunk: bytes) -> int:  # type: ignore[override]
        if key in self.over:
            raise DeborchError(ErrorCode.CONFLICT, "the attempt is over")
        have = self.phase_logs.get((key, node), b"")
        self.phase_logs[key, node] = have + chunk[len(have) - offset :]
        return len(self.phase_logs[key, node])

    async def refs(self) -> Mapping[str, str]:
        return self.known_refs

    async def missing_objects(self, names: Sequence[str]) -> Sequence[str]:
        self._trouble()
        self.asked_for.append(names)
        return [name for name in names if name not in self.objects]

    async def send_objects(self, archive: AsyncIterator[bytes]) -> None:
        content = b"".join([chunk async for chunk in archive])
        self._trouble()
        with tarfile.open(fileobj=io.BytesIO(content)) as members:
            for member in members:
                file = members.extractfile(member)
                assert file is not None
                self.objects[member.name] = file.read()


def request(compose_id: int, order: ComposeOrder) -> Event:
    data = ComposeRequested(compose_id=compose_id, name="minimal", owner="key:a", order=order.model_dump(mode="json"))
    return new_event(data, source="/hub")


class FakeEngine:
    """Goes through `PHASES`; finished ones are files in `state`, and are not run again for the same reference."""

    def __init__(self, state: Path, *, phase_s: float = 0.0) -> None:
        self.state = state
        self.phase_s = phase_s
        self.hold_at: str | None = None
        """Wait for ever in the phase of that name."""
        self.failure: DeborchError | None = None
        self.problem: DeborchError | None = None
        self.seen: list[dict[str, bytes]] = []
        """The tree of each compose."""
        self.ran: list[str] = []
        self.cancelled: list[str] = []
        self.followed: Mapping[str, str] = {}
        self.objects = {f"{'a' * 64}.filez": b"file", f"{COMMIT}.commitmeta": b"signed", f"{COMMIT}.commit": b"commit"}

    async def recover(self) -> None:
        if self.problem is not None:
            raise self.problem

    async def follow(self, refs: Mapping[str, str]) -> None:
        self.followed = refs

    async def compose(self, order: EngineOrder, watch: Watch) -> Made:
        place = self.state / order.reference
        resumed = place.exists()
        place.mkdir(parents=True, exist_ok=True)
        tree = order.tree
        self.seen.append(
            {str(path.relative_to(tree)): path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()}
        )
        watch.planned(f"minimal-{order.reference}", PHASES, resumed=resumed)
        for node in PHASES:
            done = place / str(node)
            if done.exists():
                watch.ended(PhaseEnd(node, "reused"))
                continue
            await self._phase(node, watch)
            done.touch()
            watch.ended(PhaseEnd(node, "done", seconds=0.5))
        if self.failure is not None:
            raise self.failure
        output = place / "disk.raw"
        output.write_bytes(b"a disk")
        files = (MadeFile("server/amd64/images/disk.raw", output, "raw", "server", "amd64"),)
        commit = ComposeCommit(ref="a/b", commit=COMMIT, variant="server", architecture="amd64", version="13")
        return Made("finished", seconds=1.5, files=files, commits=(commit,))

    async def _phase(self, node: Node, watch: Watch) -> None:
        watch.began(node, 1)
        watch.log(node, f"{node} begins\n".encode())
        watch.step(node, "working", 1, 2)
        self.ran.append(str(node))
        with (self.state / "ran").open("a") as ran:
            ran.write(f"{node}\n")
        try:
            if self.hold_at == node.phase:
                await asyncio.Event().wait()
            await asyncio.sleep(self.phase_s)
        except asyncio.CancelledError:
            self.cancelled.append(str(node))
            raise

    @asynccontextmanager
    async def objects_of(self, commits: Sequence[ComposeCommit]) -> AsyncIterator["FakeObjects"]:
        assert [one.commit for one in commits] == [COMMIT]
        yield FakeObjects(self.state, self.objects)

    async def collect_garbage(self) -> None:
        pass

    async def close(self) -> None:
        pass


class FakeObjects:
    def __init__(self, directory: Path, objects: Mapping[str, bytes]) -> None:
        self._directory = directory
        self._objects = objects

    @property
    def names(self) -> Sequence[str]:
        return list(self._objects)

    async def path_of(self, name: str) -> Path:
        path = self._directory / name
        path.write_bytes(self._objects[name])
        return path
