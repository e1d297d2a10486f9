"""A hub's database, blobs, key and publisher, real packages, and an apt that touches nothing of the host."""

import asyncio
import hashlib
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deborch_hub.archives import ArchivePolicy, GpgSigner, Publisher, read_binary
from deborch_hub.domain.packages import BinaryFile
from deborch_hub.store.archive_contents import ArchiveContents
from deborch_hub.store.queries import MIGRATIONS
from deborch_shared.db import Connection, Database, Migrator
from deborch_shared.events.model import ArchivePublished
from deborch_shared.ids import BuildId, Sha256, TargetId
from deborch_shared.versions import sort_key


class SteppingClock:
    """Moves on by a second with each look."""

    def __init__(self) -> None:
        self._at = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self._at += timedelta(seconds=1)
        return self._at

    def monotonic_s(self) -> float:
        return self._at.timestamp()

    async def sleep(self, duration_s: float) -> None:
        self._at += timedelta(seconds=duration_s)


@dataclass
class Shop:
    """Everything around one data directory: what a hub has, without the hub."""

    database: Database
    data: Path
    base_url: str
    signer: GpgSigner
    clock: SteppingClock = field(default_factory=SteppingClock)
    recorded: list[tuple[ArchivePublished, list[BuildId]]] = field(default_factory=list)
    fail_record: Exception | None = None
    contents: ArchiveContents = field(default_factory=ArchiveContents)

    @property
    def root(self) -> Path:
        return self.data / "archives"

    def blob_path(self, sha256: Sha256) -> Path:
        return self.data / "blobs" / sha256[:2] / sha256[2:]

    def publisher(self, policy: ArchivePolicy | None = None, *, base_url: str | None = None) -> Publisher:
        return Publisher(
            database=self.database,
            signer=self.signer,
            root=self.root,
            blob_path=self.blob_path,
            base_url=base_url or self.base_url,
            record=self._record,
            clock=self.clock,
            policy=policy,
        )

    async def _record(self, connection: Connection, event: ArchivePublished, builds: Sequence[BuildId]) -> None:
        if self.fail_record is not None:
            raise self.fail_record
        self.recorded.append((event, list(builds)))

    async def add_target(self, name: str, architectures: Sequence[str] = ("amd64",)) -> TargetId:
        await self.database.execute("INSERT INTO suite VALUES ('bookworm') ON CONFLICT DO NOTHING")
        target_id = await self.database.fetchval(
            "INSERT INTO target (name, suite, architectures, components) VALUES ($1, 'bookworm', $2, '{main}') "
            "RETURNING id",
            name,
            list(architectures),
        )
        await self.database.execute("INSERT INTO archive (target_id) VALUES ($1)", target_id)
        return TargetId(target_id)

    async def add_blob(self, content: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(content).hexdigest())
        path = self.blob_path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        await self.database.execute(
            "INSERT INTO blob (sha256, size_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            bytes.fromhex(sha256),
            len(content),
        )
        return sha256

    async def add_deb(self, deb: Path) -> BinaryFile:
        content = deb.read_bytes()
        sha256 = await self.add_blob(content)
        return BinaryFile(await read_binary(self.blob_path(sha256), deb.name), deb.name, sha256, len(content))

    async def add_build(
        self, target_id: TargetId, *debs: Path, source_version_id: int | None = None
    ) -> tuple[BuildId, int]:
        """A build of `target_id` with these packages, waiting to be published; its id and generation."""
        files = [await self.add_deb(deb) for deb in debs]
        async with self.database.transaction() as connection:
            build_id = await connection.fetchval(
                "INSERT INTO build (target_id, source_name, scratch, owner) VALUES ($1, 'x', false, 'me') RETURNING id",
                target_id,
            )
            generation = await self.contents.add_build(
                connection,
                target_id,
                build_id=build_id,
                binaries=files,
                source_version_id=source_version_id,
            )
            await connection.execute(
                "UPDATE build SET state = 'publishing', generation = $2 WHERE id = $1", build_id, generation
            )
        return BuildId(build_id), generation

    async def add_source(self, name: str, version: str, dsc: bytes, files: dict[str, bytes]) -> int:
        package_id = await self.database.fetchval(
            "INSERT INTO source_package (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = $1 RETURNING id",
            name,
        )
        version_id: int = await self.database.fetchval(
            "INSERT INTO source_version "
            "(source_package_id, version, version_key, dsc_sha256, dsc_name, control, architectures) "
            "VALUES ($1, $2, $3, $4, $5, $6, '{any}') RETURNING id",
            package_id,
            version,
            sort_key(version),
            bytes.fromhex(await self.add_blob(dsc)),
            f"{name}_{version}.dsc",
            dsc.decode(),
        )
        for file_name, content in files.items():
            await self.database.execute(
                "INSERT INTO source_file VALUES ($1, $2, $3, $4)",
                version_id,
                file_name,
                bytes.fromhex(await self.add_blob(content)),
                len(content),
            )
        return version_id


@pytest.fixture(scope="session")
def key_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key for the session; making one takes longer than using it."""
    home = tmp_path_factory.mktemp("archive-keys") / "keys"
    asyncio.run(GpgSigner.open(home, "test archive"))
    return home


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, answers If-Modified-Since, says nothing."""

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """URL of a web server over the data directory."""
    (tmp_path / "data").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "data"))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def shop(database: str, tmp_path: Path, web: str, key_home: Path) -> AsyncIterator[Shop]:
    async with Database(database, application="archives-test") as opened:
        await Migrator(MIGRATIONS).run(opened)
        yield Shop(opened, tmp_path / "data", web, await GpgSigner.open(key_home, "test archive"))


MakeDeb = Callable[..., Path]


@pytest.fixture
def make_deb(tmp_path: Path) -> MakeDeb:
    """Build a small real package: `make_deb("hello", "1.0", "amd64", content="...", suffix="deb", compress="xz")`."""

    def make(
        package: str,
        version: str,
        architecture: str = "amd64",
        *,
        content: str = "",
        suffix: str = "deb",
        compress: str = "xz",
    ) -> Path:
        tree = tmp_path / "trees" / f"{package}_{version}_{architecture}_{abs(hash(content))}"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        share = tree / "usr" / "share" / package
        share.mkdir(parents=True, exist_ok=True)
        (share / "content").write_text(f"{package} {version} {content}\n")
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {package}\nVersion: {version}\nArchitecture: {architecture}\n"
            f"Maintainer: Tests <tests@example.org>\nSection: misc\nPriority: optional\n"
            f"Description: a package for tests\n It has a second line.\n .\n And a third.\n"
        )
        deb = tree.parent / f"{package}_{version.partition(':')[2] or version}_{architecture}.{suffix}"
        run_tool("dpkg-deb", "--root-owner-group", f"-Z{compress}", "--build", str(tree), str(deb))
        return deb

    return make


@dataclass(frozen=True)
class PrivateApt:
    """apt with directories of its own: its sources, its lists, its status, its keys."""

    root: Path

    def use(self, sources: str) -> None:
        (self.root / "etc/sources.list.d/test.sources").write_text(sources)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        options = {
            "Dir::Etc": f"{self.root}/etc",
            "Dir::State": f"{self.root}/state",
            "Dir::State::status": f"{self.root}/state/status",
            "Dir::Cache": f"{self.root}/cache",
            "Dir::Log": f"{self.root}/log",
            "APT::Architecture": "amd64",
            "APT::Architectures::": "amd64",
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "Acquire::http::Proxy": "false",
            "Acquire::Retries": "0",
            "Debug::NoLocking": "1",
        }
        command = [arguments[0], *(f"-o{name}={value}" for name, value in options.items()), *arguments[1:]]
        return (
            subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=self.root)
            if (not check)
            else run_tool(*command, cwd=self.root)
        )

    def update(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("apt-get", "update", "--error-on=any", check=check)

    def candidate(self, package: str) -> str:
        lines = self.run("apt-cache", "policy", package).stdout.splitlines()
        return next((line.split()[1] for line in lines if "Candidate:" in line), "")

    def versions(self, package: str) -> list[str]:
        lines = self.run("apt-cache", "madison", package).stdout.splitlines()
        return [line.split("|")[1].strip() for line in lines]


@pytest.fixture
def apt(tmp_path: Path) -> PrivateApt:
    root = tmp_path / "apt"
    for directory in (
        "etc/sources.list.d",
        "etc/preferences.d",
        "etc/apt.conf.d",
        "etc/trusted.gpg.d",
        "state/lists/partial",
        "cache/archives/partial",
        "log",
    ):
        (root / directory).mkdir(parents=True)
    (root / "state/status").touch()
    return PrivateApt(root)


def run_tool(*command: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd)
    assert done.returncode == 0 or not check, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done
