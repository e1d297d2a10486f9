"""The main way: a source package in at the command line, its .deb out of the signed archive by the real apt-get."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.e2e.private_apt import PrivateApt
from tests.e2e.running import request

Tamper = Callable[[str, bytes], bytes]


def test_what_was_built_is_what_apt_verifies_fetches_and_installs(cli, target, source, architecture, tmp_path):
    cli("build", source(), "--target", target, "--watch")
    (build,) = cli.json("build", "list", "--target", target)
    assert (build["state"], build["source"], build["version"]) == ("completed", "tiny", "1.0")
    downloaded = cli.json("build", "download", build["id"], "--to", tmp_path / "d")
    files = {Path(file["path"]).name: file for file in downloaded}
    deb = f"tiny_1.0_{architecture}.deb"
    apt = PrivateApt(tmp_path / "apt", architecture, cli("archive", "sources", target).stdout)
    assert "InRelease" in apt("update")
    assert f"SHA256:{files[deb]['sha256']}" in apt("--print-uris", "download", "tiny")
    apt("download", "tiny")
    assert sha256_of(apt.root / deb) == files[deb]["sha256"] == sha256_of(tmp_path / "d" / deb)
    apt("--yes", "install", "tiny=1.0")
    assert (apt.installed / "usr/share/tiny/file").read_text() == "content\n"
    apt("--download-only", "source", "tiny")
    assert sha256_of(apt.root / "tiny_1.0.dsc") == sha256_of(tmp_path / "source-1" / "tiny_1.0.dsc")


def test_a_newer_version_is_an_upgrade_for_apt_and_a_snapshot_still_has_the_older(
    cli, target, source, architecture, tmp_path
):
    cli("build", source(version="1.0~rc1"), "--target", target, "--watch")
    (before, *_) = cli.json("archive", "snapshots", target)
    sources = cli("archive", "sources", target).stdout
    apt = PrivateApt(tmp_path / "apt", architecture, sources)
    apt("update")
    apt("--yes", "install", "tiny=1.0~rc1")
    cli("build", source(version="1.0"), "--target", target, "--watch")
    apt("update")
    assert "Inst tiny [1.0~rc1] (1.0 " in apt("--simulate", "upgrade")
    apt.use(sources.replace(cli.json("archive", "show", target)["url"], before["url"]))
    apt("update")
    assert "tiny_1.0%7erc1" in apt("--print-uris", "download", "tiny")


@pytest.mark.parametrize("path", ["InRelease", "Packages"])
def test_an_archive_that_was_tampered_with_is_refused_by_apt(published, architecture, tmp_path, path):
    def tamper(name: str, body: bytes) -> bytes:
        if path == "InRelease" and name.endswith(path):
            return body.replace(b"Origin: ", b"Origin: not-", 1)
        return with_bit_flipped(body) if path == "Packages" and f"/binary-{architecture}/" in name else body

    with served(published.sources, tamper) as sources:
        apt = PrivateApt(tmp_path / "apt", architecture, sources)
        said = apt("update", "-o", "APT::Update::Error-Mode=any", code=100)
    assert ("BADSIG" if path == "InRelease" else "Hash Sum mismatch") in said
    assert "Unable to locate package" in apt("download", "tiny", code=100)


def test_a_package_that_was_tampered_with_is_refused_by_apt(published, architecture, tmp_path):
    with served(
        published.sources, lambda name, body: with_bit_flipped(body) if name.endswith(".deb") else body
    ) as sources:
        apt = PrivateApt(tmp_path / "apt", architecture, sources)
        apt("update")
        assert "Hash Sum mismatch" in apt("download", "tiny", code=100)
    assert not list(apt.root.glob("*.deb"))


def test_an_archive_signed_by_somebody_else_is_refused_by_apt(published, architecture, tmp_path):
    key = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    with served(published.sources, lambda name, body: body) as sources:
        trusted, _, _ = sources.partition("Signed-By:")
        apt = PrivateApt(tmp_path / "apt", architecture, f"{trusted}Signed-By: {key}\n")
        assert "NO_PUBKEY" in apt("update", "-o", "APT::Update::Error-Mode=any", code=100)


@contextmanager
def served(sources: str, tamper: Tamper) -> Iterator[str]:
    """The archive of `sources` as a proxy passes it on that changes what it likes; a `.sources` file that uses it."""
    (archive,) = (line.split()[1] for line in sources.splitlines() if line.startswith("URIs:"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = request("GET", archive.rstrip("/") + self.path)
            body = tamper(self.path, answer.body)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield sources.replace(archive, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def with_bit_flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
