"""How bases follow their archive: a small change costs new lists, a bad archive costs nothing, old ones go.

The archive is the real one behind a server of our own, whose InRelease is signed by a key of the test. Trees "from
nothing" are copies of the shared base, so that no test waits for mmdebstrap.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.integration.deb_mock.conftest import native_architecture

from deb_mock.archives.archive import archive_sources
from deb_mock.bases.store import BaseStore
from deb_mock.buildroots.buildroot import Buildroots
from deborch_shared.apt.host import host_codename, read_host_apt
from deborch_shared.apt.releases import release_url
from deborch_shared.errors import DeborchError

MAKER = """
import asyncio, sys
from pathlib import Path
from deb_mock.bases.store import BaseStore
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.engine_config import EngineConfig
state, cache, mirror, keyring, suite, architecture, template, made = sys.argv[1:]
config = EngineConfig(state_dir=Path(state), cache_dir=Path(cache), mirror=mirror, keyring=Path(keyring))
async def make_tree(recipe, target, on_log):
    with open(made, "a") as file:
        file.write("made\\n")
    await asyncio.sleep(1)
    process = await asyncio.create_subprocess_exec("cp", "-al", template, str(target))
    assert await process.wait() == 0
store = BaseStore(config, Buildroots(config), make_tree)
print(asyncio.run(store.ensure(suite, architecture, lambda _: None)).name)
"""


class Archive:
    """The archive of the host's suite, as of a state that the test decides on."""

    def __init__(self, home: Path, upstream: str) -> None:
        home.mkdir(mode=0o700)
        self._home, self._upstream = home, upstream
        self._gpg("--quick-generate-key", "test@example.org", "ed25519", "sign", "never")
        self.keyring = home.parent / "test-keyring.gpg"
        self.keyring.write_bytes(self._gpg("--export"))
        url = release_url(upstream, host_codename())
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the address is from apt's own sources
            signed = answer.read().decode()
        body = re.search(r"\n\n(.*?)\n-----BEGIN PGP SIGNATURE", signed, re.DOTALL)
        assert body is not None
        self._release = body[1]
        self.asked: list[str] = []
        self.in_release = b""
        self._signed: dict[str, bytes] = {}
        self.publish("first")
        handler = partial(_Handler, self)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/debian"

    @property
    def upstream(self) -> str:
        return self._upstream

    def publish(self, state: str) -> None:
        """Another InRelease with the same indices."""
        if state not in self._signed:
            text = re.sub(r"^(Codename: .*)$", rf"\1\nX-State: {state}", self._release, flags=re.MULTILINE)
            self._signed[state] = self._gpg("--clear-sign", stdin=text.encode())
        self.in_release = self._signed[state]

    def break_signature(self) -> None:
        self.in_release = self.in_release.replace(b"X-State: ", b"X-State: forged ")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)

    def _gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--homedir", str(self._home), "--passphrase", "", *arguments]
        return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, archive: Archive, *arguments: object) -> None:
        self._archive = archive
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._archive.asked.append(self.path)
        if self.path.endswith("/InRelease"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self._archive.in_release)))
            self.end_headers()
            self.wfile.write(self._archive.in_release)
            return
        self.send_response(302)
        self.send_header("Location", self._archive.upstream + self.path.removeprefix("/debian"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
async def archive(tmp_path, config):
    sources = archive_sources(await read_host_apt(), config, host_codename(), ("main",))
    main = next(source for source in sources if source.suite == host_codename())
    archive = Archive(tmp_path / "archive-keys", main.uri.rstrip("/"))
    yield archive
    archive.close()


@pytest.fixture
async def template(engine, archive, log, cache_dir, tmp_path):
    """A tree as mmdebstrap would make it from the archive of the test, beside the caches of the tests."""
    base = await engine.ensure_base(host_codename(), native_architecture(), on_log=log.extend)
    root = cache_dir.parent / f"template-{tmp_path.name}"
    subprocess.run(["cp", "-al", base.root, root], check=True)
    line = f"deb [signed-by={archive.keyring}] {archive.uri} {host_codename()} main\n"
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list").write_text(line)
    for path in (root / "etc/apt/sources.list.d").iterdir():
        path.unlink()
    inside = root / str(archive.keyring).lstrip("/")
    inside.parent.mkdir(parents=True)
    shutil.copy(archive.keyring, inside)
    for path in (root / "var/lib/apt/lists").glob("*Release"):
        path.unlink()
    (root / "var/lib/apt/lists/archive_InRelease").write_bytes(archive.in_release)
    yield root
    subprocess.run(["rm", "-rf", root], check=True)


@pytest.fixture
def own(config, archive, template):
    """A cache of the test's own, on the disk of the template, where a base is asked for each time."""
    cache = template.with_name(f"{template.name}-cache")
    own = replace(
        config,
        cache_dir=cache,
        mirror=archive.uri,
        keyring=archive.keyring,
        base_check_interval_s=0,
        keep_generations=2,
    )
    yield own
    subprocess.run(["rm", "-rf", cache], check=True)


@pytest.fixture
def store(own, template):
    async def make_tree(_recipe, target, _on_log):
        await asyncio.to_thread(subprocess.run, ["cp", "-al", template, target], check=True)

    return BaseStore(own, Buildroots(own), make_tree)


@pytest.fixture
def ensure(store, log):
    return partial(store.ensure, host_codename(), native_architecture(), log.extend)


async def test_a_changed_archive_costs_new_lists_only_and_the_old_base_stays_for_a_while(ensure, store, archive, log):
    first = await ensure()
    assert (await ensure()).name == first.name, "an archive that has not changed changes nothing"

    archive.publish("second")
    second = await ensure()
    assert (second.name != first.name, second.tree) == (True, first.tree)
    status = "var/lib/dpkg/status"
    assert (second.root / status).stat().st_ino == (first.root / status).stat().st_ino, "files are shared"
    listed = next((second.root / "var/lib/apt/lists").glob("*_InRelease"))
    assert b"X-State: second" in listed.read_bytes()
    assert first.root.is_dir()

    archive.publish("first")
    assert (await ensure()).name == first.name, "a mirror that goes back costs nothing"

    archive.publish("third")
    with store.in_use(first):
        third = await ensure()
        assert first.root.is_dir(), "a build uses it"
    archive.publish("fourth")
    fourth = await ensure()
    assert {base.name for base in store.all()} == {third.name, fourth.name}


async def test_a_bad_or_missing_archive_never_costs_a_good_base(ensure, store, archive, log, own):
    first = await ensure()
    archive.publish("second")
    archive.break_signature()
    assert (await ensure()).name == first.name
    assert b"could not be brought up to date" in log
    with pytest.raises(DeborchError) as caught:
        await ensure(check=True)
    assert caught.value.fields["failure_class"] == "fetch-fault"
    assert [path.name for path in own.bases_dir.glob(".new-*")] == []
    assert (first.root / "etc/apt/sources.list").exists()

    archive.close = lambda: None
    archive._server.shutdown()
    archive._server.server_close()
    assert (await ensure()).name == first.name, "offline"


async def test_a_tree_that_is_too_old_is_made_from_nothing_when_the_archive_changes(ensure, own, template, archive):
    first = await ensure()
    described = first.directory / "base.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "tree_made_at_s": 0}))
    archive.publish("second")
    for path in (template / "var/lib/apt/lists").glob("*Release"):
        path.unlink()
        path.write_bytes(archive.in_release)
    second = await ensure()
    assert second.tree == second.name


async def test_a_base_that_lost_files_in_a_power_cut_is_made_anew(ensure, store, log):
    first = await ensure()
    described = first.directory / "base.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "boot_id": "before"}))
    assert (await ensure()).made_at_s == first.made_at_s, "it is whole"
    described.write_text(json.dumps({**json.loads(described.read_text()), "boot_id": "before"}))
    (first.root / "usr/bin/dpkg").unlink()
    with store.in_use(first), pytest.raises(DeborchError, match="damaged, and a buildroot uses it"):
        await ensure()
    assert (await ensure()).made_at_s > first.made_at_s
    assert b"is damaged" in log


async def test_a_fresh_answer_of_the_archive_saves_the_question(own, store, template, archive, log):
    patient = BaseStore(replace(own, base_check_interval_s=3600), Buildroots(own), store._make_tree)
    first = await patient.ensure(host_codename(), native_architecture(), log.extend)
    archive.asked.clear()
    archive.publish("second")
    assert (await patient.ensure(host_codename(), native_architecture(), log.extend)).name == first.name
    assert archive.asked == []
    checked = await patient.ensure(host_codename(), native_architecture(), log.extend, check=True)
    assert checked.name != first.name


async def test_many_processes_at_once_make_one_base(own, template, archive, tmp_path):
    made = tmp_path / "made"
    arguments = [
        own.state_dir, own.cache_dir, archive.uri, archive.keyring, host_codename(), native_architecture(),
        template, made,
    ]  # fmt: skip
    command = [sys.executable, "-c", MAKER, *map(str, arguments)]
    makers = [await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE) for _ in range(4)]
    names = {(await maker.communicate())[0] for maker in makers}
    assert len(names) == 1
    assert made.read_text() == "made\n"
