"""Downloads over HTTP, by apt's own downloader, into the cache that all composes share."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import Gathering, TinyArchive

from deb_bootc_compose.archives.debs import DebCache, WantedDeb
from deb_bootc_compose.phases.progress import Silent
from deborch_shared.errors import DeborchError, ErrorCode


class Server:
    """Serves a directory on loopback and counts what is asked for."""

    def __init__(self, directory: Path) -> None:
        self.asked: Counter[str] = Counter()
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked[self.path.rpartition("/")[2]] += 1
                super().do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(directory)))
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(archive: TinyArchive) -> Iterator[Server]:
    served = Server(archive.root)
    yield served
    served.close()


async def test_two_composes_at_once_fetch_each_deb_once(gathering: Gathering, server: Server):
    first, second = await asyncio.gather(
        gathering.gather("web", mirror=server.uri), gathering.gather("web", mirror=server.uri)
    )
    assert first.lock == second.lock
    debs = {name: count for name, count in server.asked.items() if name.endswith(".deb")}
    assert len(debs) == 4
    assert set(debs.values()) == {1}
    assert server.asked["Packages"] == 1


async def test_an_unchanged_archive_is_asked_for_its_release_alone(gathering: Gathering, server: Server):
    await gathering.gather("web", mirror=server.uri)
    server.asked.clear()
    await gathering.inputs("web", mirror=server.uri)
    await gathering.gather("web", "base", mirror=server.uri)
    assert set(server.asked) == {"InRelease"}


async def test_the_next_address_is_tried_if_one_has_it_not(gathering: Gathering, server: Server):
    package = (await gathering.gather("web")).lock.packages[0]
    cache = DebCache(Gathering(gathering.root / "other", gathering.archive).state, {})
    there = f"{server.uri}/{package.path}"
    wanted = WantedDeb("base", package.sha256, package.size_bytes, (f"{server.uri}/gone.deb", there))
    assert await cache.have([wanted], Silent()) == package.size_bytes
    assert await cache.have([wanted], Silent()) == 0


async def test_a_deb_that_no_address_has_is_named(gathering: Gathering, server: Server):
    cache = DebCache(gathering.state, {})
    wanted = [WantedDeb(f"gone-{n} 1 amd64", f"{n}" * 64, 1, (f"{server.uri}/gone-{n}.deb",)) for n in range(7)]
    with pytest.raises(DeborchError, match=r"gone-0 1 amd64, .* and 2 more") as caught:
        await cache.have(wanted, Silent())
    assert caught.value.code == ErrorCode.NOT_FOUND


async def test_what_is_not_what_its_digest_says_does_not_come_into_the_cache(gathering: Gathering, server: Server):
    cache = DebCache(gathering.state, {})
    wrong = WantedDeb("web 1 amd64", "a" * 64, 1, (f"{server.uri}/pool/web_1_amd64.deb",))
    with pytest.raises(DeborchError) as caught:
        await cache.have([wrong], Silent())
    assert caught.value.code == ErrorCode.DIGEST_MISMATCH
    assert not cache.path("a" * 64).exists()
