"""Sources that are refused: what they do to be refused, and that nothing of it is left."""

import hashlib
import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.deb_mock.conftest import what_is_left
from tests.openpgp import Signer

from deb_mock.engine import Engine
from deb_mock.engine_config import SignaturePolicy
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
def upstream(tmp_path):
    signer = Signer(tmp_path / "upstream")
    yield signer
    signer.close()


@pytest.fixture
def quilt(request_for, upstream):
    """Makes a 3.0 (quilt) package of the tiny one, its tarball signed by upstream or not."""

    def make(*, signed=True, key=True, tarball_is_changed=False):
        request = request_for()
        directory = request.source_dir
        tree = directory / "tiny-1.0"
        (tree / "debian" / "source" / "format").write_text("3.0 (quilt)\n")
        changelog = tree / "debian" / "changelog"
        changelog.write_text(changelog.read_text().replace("(1.0)", "(1.0-1)"))
        if key:
            (tree / "debian" / "upstream").mkdir()
            (tree / "debian" / "upstream" / "signing-key.asc").write_bytes(upstream.gpg("--armor", "--export"))
        tarball = directory / "tiny_1.0.orig.tar.gz"
        with tarfile.open(tarball, "w:gz") as made:
            made.addfile(tarfile.TarInfo("tiny-1.0/README"))
        if signed:
            upstream.gpg("--armor", "--detach-sign", str(tarball))
        if tarball_is_changed:
            with tarfile.open(tarball, "w:gz") as made:
                made.addfile(tarfile.TarInfo("tiny-1.0/README.evil"))
                made.addfile(tarfile.TarInfo("tiny-1.0/README"))
        (tree / "README").touch()
        if tarball_is_changed:
            (tree / "README.evil").touch()
        argv = ["dpkg-source", "-b", tree.name]
        subprocess.run(argv, cwd=directory, check=True, capture_output=True)
        return replace(request, dsc=directory / "tiny_1.0-1.dsc")

    return make


@pytest.fixture
def engine_of(config):
    return lambda policy: Engine(replace(config, orig_signature=policy))


async def test_a_tarball_that_upstream_signed_is_built_and_the_log_says_so(engine_of, quilt, log):
    await engine_of(SignaturePolicy.REQUIRE).build(quilt(), on_log=log.extend)
    assert b"tiny_1.0.orig.tar.gz has a good signature by upstream's key" in log


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"signed": False}, "lists no tiny_1.0.orig.tar.gz.asc"),
        ({"key": False}, "has no debian/upstream/signing-key.asc"),
    ],
)
async def test_without_signature_or_key_the_policy_decides(engine_of, quilt, log, made, said):
    request = quilt(**made)
    with pytest.raises(DeborchError) as caught:
        await engine_of(SignaturePolicy.REQUIRE).build(request, on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.INVALID_SIGNATURE, "policy")
    assert said in caught.value.message
    assert b"dpkg-buildpackage" not in log
    await engine_of(SignaturePolicy.WARN).build(request, on_log=log.extend)
    assert b"warning: tiny_1.0.orig.tar.gz is not signed by upstream" in log


async def test_a_dsc_without_a_signature_is_built_with_a_warning_if_the_policy_says_so(
    config, request_for, upstream, log
):
    engine = Engine(replace(config, source_keyring=upstream.keyring, dsc_signature=SignaturePolicy.WARN))
    await engine.build(request_for(), on_log=log.extend)
    assert b"warning: tiny_1.0.dsc is not signed as a whole" in log


def with_tarball(request, members):
    """The request's package with another tarball, which its .dsc vouches for."""
    tarball = next(request.source_dir.glob("*.tar.xz"))
    with tarfile.open(tarball, "w:xz") as made:
        for member, content in members:
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    content = tarball.read_bytes()
    lines = []
    for line in request.dsc.read_text().splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[2] == tarball.name:
            algorithm = {32: "md5", 40: "sha1", 64: "sha256"}[len(parts[0])]
            lines.append(f" {hashlib.new(algorithm, content).hexdigest()} {len(content)} {tarball.name}")
        else:
            lines.append(line)
    request.dsc.write_text("\n".join(lines) + "\n")
    return request


def link(name, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    "members",
    [
        [(tarfile.TarInfo("tiny-1.0/../../../../../../opt/escaped-by-path"), b"x")],
        [(tarfile.TarInfo("/opt/escaped-by-path"), b"x")],
        [(link("tiny-1.0/out", "/opt"), b""), (tarfile.TarInfo("tiny-1.0/out/escaped-by-path"), b"x")],
        [(tarfile.TarInfo("tiny-1.0/no-debian"), b"x")],
    ],
    ids=["dots", "absolute", "link", "no debian"],
)
async def test_a_tarball_that_leads_out_of_its_directory_is_refused_and_reaches_nothing(
    engine, request_for, log, config, members
):
    request = with_tarball(request_for(), members)
    base = await engine.ensure_base(request.suite, request.architecture, on_log=log.extend)
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.INVALID_SOURCE, "policy")
    assert caught.value.hint
    assert not (base.root / "opt" / "escaped-by-path").exists()
    assert not Path("/opt/escaped-by-path").exists()
    assert what_is_left(config.state_dir) == []


async def test_a_file_that_is_missing_is_named(engine, request_for, log):
    request = request_for()
    next(request.source_dir.glob("*.tar.xz")).unlink()
    with pytest.raises(DeborchError) as caught:
        await engine.build(request, on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.INVALID_SOURCE, "policy")
    assert caught.value.fields["file"] == "tiny_1.0.tar.xz"
