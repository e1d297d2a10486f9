"""One package added to an archive of many, beside apt-ftparchive with its cache, on a real PostgreSQL.

Both sides end with the same thing on disk: Packages, Packages.gz, Release and its signatures. Ours counts the
transaction that adds the package, too. `python -m tests.bench.archive [--quick]`
"""

import asyncio
import gzip
import hashlib
import io
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Figure, publish

from deborch_cli.local.postgres import EmbeddedPostgres
from deborch_hub.archives import GpgSigner, Publisher
from deborch_hub.domain.packages import BinaryFile, binary_from_control
from deborch_hub.store.archive_contents import ArchiveContents
from deborch_hub.store.queries import MIGRATIONS
from deborch_shared.clock import SystemClock
from deborch_shared.db import Connection, Database, Migrator
from deborch_shared.events.model import ArchivePublished
from deborch_shared.ids import BuildId, Sha256, TargetId

REPORT = Path("build/bench/archive.json")
BAR_S = 1.0
BAR_PACKAGES = 60_000
_WORDS = [f"{start}{middle}{end}" for start in "abcdefghij" for middle in "aeiou" for end in ("ld", "rs", "nt", "mp")]


@dataclass
class Packages:
    """Real, small .deb files with control files as long as Debian's usual ones, made without dpkg-deb."""

    directory: Path
    chance: random.Random
    paths: dict[Sha256, Path] = field(default_factory=dict)

    def make(self, number: int) -> BinaryFile:
        package = f"{self.chance.choice(_WORDS)}-{number}"
        control = (
            f"Package: {package}\nVersion: 1.{number % 50}-1\nArchitecture: amd64\nMaintainer: Bench <b@example.org>\n"
            f"Installed-Size: {self.chance.randrange(10_000)}\nDepends: {self._words(12, ', ')}\n"
            f"Section: {self.chance.choice(_WORDS)}\nPriority: optional\nHomepage: https://example.org/{package}\n"
            f"Description: {self._words(6)}\n {self._words(12)}\n {self._words(12)}\n .\n {self._words(12)}\n"
        )
        content = _deb(control)
        sha256 = Sha256(hashlib.sha256(content).hexdigest())
        file_name = f"{package}_1.{number % 50}-1_amd64.deb"
        path = self.directory / f"{number // 1000:03d}" / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.paths[sha256] = path
        return BinaryFile(binary_from_control(control, file_name), file_name, sha256, len(content))

    def _words(self, count: int, between: str = " ") -> str:
        return between.join(self.chance.choice(_WORDS) for _ in range(count))


def _deb(control: str) -> bytes:
    """A .deb (deb(5)) with this control file and no content."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar({"./control": control.encode()}),
        "data.tar.gz": _tar({}),
    }
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), 1, mtime=0)


class Ours:
    """A target's archive as the hub has it."""

    def __init__(self, database: Database, signer: GpgSigner, root: Path, packages: Packages) -> None:
        self._database = database
        self._packages = packages
        self._contents = ArchiveContents()
        self._publisher = Publisher(
            database=database,
            signer=signer,
            root=root,
            blob_path=packages.paths.__getitem__,
            base_url="http://localhost",
            record=self._record,
            clock=SystemClock(),
        )

    async def _record(self, connection: Connection, event: ArchivePublished, builds: Sequence[BuildId]) -> None:
        """The hub writes its events here; two rows more or less do not show."""

    async def fill(self, name: str, files: Sequence[BinaryFile]) -> TargetId:
        """A new target whose archive holds `files`."""
        async with self._database.transaction() as connection:
            await connection.execute("INSERT INTO suite VALUES ('bookworm') ON CONFLICT DO NOTHING")
            target_id = await connection.fetchval(
                "INSERT INTO target (name, suite, architectures, components) "
                "VALUES ($1, 'bookworm', '{amd64}', '{main}') RETURNING id",
                name,
            )
            await connection.execute("INSERT INTO archive (target_id) VALUES ($1)", target_id)
            await connection.executemany("INSERT INTO blob VALUES ($1, $2)", [_blob(file) for file in files])
            await self._contents.add_build(connection, target_id, build_id=None, binaries=files, source_version_id=None)
        await self._database.execute("ANALYZE")
        return TargetId(target_id)

    async def publish(self, name: str) -> float:
        started_s = time.perf_counter()
        await self._publisher.publish(name)
        return time.perf_counter() - started_s

    async def add(self, name: str, target_id: TargetId, file: BinaryFile) -> float:
        """Seconds from the beginning of the transaction that adds `file` to the end of the publication."""
        await self._database.execute("INSERT INTO blob VALUES ($1, $2)", *_blob(file))
        started_s = time.perf_counter()
        async with self._database.transaction() as connection:
            await self._contents.add_build(
                connection, target_id, build_id=None, binaries=[file], source_version_id=None
            )
        if await self._publisher.publish(name) is None:
            raise RuntimeError("nothing was published")
        return time.perf_counter() - started_s


def _blob(file: BinaryFile) -> tuple[bytes, int]:
    return bytes.fromhex(file.sha256), file.size_bytes


class AptFtparchive:
    """The same archive by apt-ftparchive, its cache warm, and gpg with an agent that stays."""

    def __init__(self, packages: Packages, work: Path) -> None:
        self._packages = packages.directory
        self._work = work
        self._suite = work / "dists/bench"
        self._index = self._suite / "main/binary-amd64/Packages"
        self._index.parent.mkdir(parents=True)
        self._home = work / "gnupg"
        self._home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", "bench", "ed25519", "sign", "never")

    def publish(self) -> float:
        """Seconds for Packages, Packages.gz, Release, InRelease and Release.gpg."""
        started_s = time.perf_counter()
        command = ["apt-ftparchive", "--db", str(self._work / "cache.db"), "packages", self._packages.name]
        with self._index.open("wb") as index:
            subprocess.run(command, cwd=self._packages.parent, stdout=index, stderr=subprocess.DEVNULL, check=True)
        with self._index.with_suffix(".gz").open("wb") as packed:
            subprocess.run(["gzip", "-6nc", str(self._index)], stdout=packed, check=True)
        with (self._work / "Release").open("wb") as release:
            subprocess.run(["apt-ftparchive", "release", str(self._suite)], stdout=release, check=True)
        for how, name in (("--clearsign", "InRelease"), ("--detach-sign", "Release.gpg")):
            self._gpg("--yes", "--output", str(self._suite / name), how, str(self._work / "Release"))
        return time.perf_counter() - started_s

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"], check=True)

    def _gpg(self, *arguments: str) -> None:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


async def measure(size: int, rounds: int, database: Database, work: Path) -> list[Figure]:
    """The figures of an archive of `size` packages, both sides taking turns."""
    packages = Packages(work / "debs", random.Random(size))
    files = [packages.make(number) for number in range(size)]
    signer = await GpgSigner.open(work / "keys", "bench")
    ours, theirs = Ours(database, signer, work / "archives", packages), AptFtparchive(packages, work / "ftparchive")
    name = f"bench{size}"
    target_id = await ours.fill(name, files)
    first = {"ours": await ours.publish(name), "apt-ftparchive": await asyncio.to_thread(theirs.publish)}
    added: dict[str, list[float]] = {"ours": [], "apt-ftparchive": []}
    for turn in range(rounds):
        file = packages.make(size + turn)
        added["ours"].append(await ours.add(name, target_id, file))
        added["apt-ftparchive"].append(await asyncio.to_thread(theirs.publish))
    theirs.close()
    shutil.rmtree(work / "archives" / name / ".cache")
    uncached = await ours.add(name, target_id, packages.make(size + rounds))
    mine, other = statistics.median(added["ours"]), statistics.median(added["apt-ftparchive"])
    label = f"archive of {size:,}: one package added"
    return [
        Figure.at_most(label, mine, "s", BAR_S) if size >= BAR_PACKAGES else Figure(label, mine, "s"),
        Figure(f"{label}, slowest", max(added["ours"]), "s"),
        Figure(f"{label}, apt-ftparchive", other, "s"),
        Figure(f"{label}, times faster than apt-ftparchive", other / mine, ""),
        Figure(f"{label}, our cache lost", uncached, "s"),
        Figure(f"archive of {size:,}: all at once", first["ours"], "s"),
        Figure(f"archive of {size:,}: all at once, apt-ftparchive", first["apt-ftparchive"], "s"),
    ]


async def run(sizes: Sequence[int], rounds: int, work: Path, on_done: Callable[[int], None]) -> list[Figure]:
    figures: list[Figure] = []
    async with (
        EmbeddedPostgres(work / "postgres", databases=("hub",)) as server,
        Database(server.dsn("hub"), application="bench-archive") as database,
    ):
        await Migrator(MIGRATIONS).run(database)
        for size in sizes:
            figures += await measure(size, rounds, database, work / str(size))
            on_done(size)
    return figures


def main(quick: bool) -> bool:
    """Measure and publish; True if every bar holds. Needs about 2 GB where temporary files are made."""
    sizes, rounds = ((1_000, 5_000), 2) if quick else ((1_000, BAR_PACKAGES), 5)
    with tempfile.TemporaryDirectory(prefix="deborch-bench-") as work:
        figures = asyncio.run(run(sizes, rounds, Path(work), lambda size: print(f"{size:,} packages done", flush=True)))
    return publish(figures, REPORT, "Archive: one package added")


if __name__ == "__main__":
    sys.exit(0 if main("--quick" in sys.argv) else 1)
