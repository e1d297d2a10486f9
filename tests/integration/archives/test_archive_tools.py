"""gpg and dpkg-deb as the archives use them."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from deborch_hub.archives import GpgSigner, read_binary
from deborch_shared.errors import DeborchError, ErrorCode


def agents():
    """Processes of GnuPG that have outlived what the signer made for them. Others sign beside this test."""
    processes = list(Path("/proc").glob("[0-9]*"))
    left = [process for process in processes if (home := home_of(process)) and not home.parent.exists()]
    return [process.name for process in left if home_of(process)]


def home_of(process):
    """The GNUPGHOME of a process that a signer started."""
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    homes = [each.decode() for each in environment if each.startswith(b"GNUPGHOME=/tmp/deborch-gpg-")]
    return Path(homes[0].partition("=")[2]) if homes else None


async def test_the_key_is_made_once_and_kept(tmp_path):
    home = tmp_path / "keys"
    first = await GpgSigner.open(home, "archive of tests")
    again = await GpgSigner.open(home, "archive of tests")
    assert first.fingerprint == again.fingerprint
    assert first.public_key == again.public_key
    assert home.stat().st_mode & 0o777 == 0o700


async def test_processes_that_start_at_once_agree_on_one_key(tmp_path):
    signers = await asyncio.gather(*(GpgSigner.open(tmp_path / "keys", "archive of tests") for _ in range(3)))
    assert len({signer.fingerprint for signer in signers}) == 1


async def test_a_home_with_a_long_path_can_sign(tmp_path):
    """Sockets are limited to 107 bytes of path."""
    signer = await GpgSigner.open(tmp_path / ("long" * 30) / "keys", "archive of tests")
    assert (await signer.sign(b"x\n")).inline.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----")


async def test_both_signatures_verify_and_no_agent_stays(key_home, tmp_path):
    signer = await GpgSigner.open(key_home, "unused")
    text = b"Origin: x\n- dashes\nSHA256:\n 00 1 x\n"
    signatures = await signer.sign(text)
    assert agents() == []
    (tmp_path / "key.asc").write_text(signer.public_key)
    (tmp_path / "InRelease").write_bytes(signatures.inline)
    (tmp_path / "Release").write_bytes(text)
    (tmp_path / "Release.gpg").write_bytes(signatures.detached)
    (tmp_path / "home").mkdir(mode=0o700)
    verify(tmp_path, "--dearmor", "--output", "key.gpg", "key.asc", tool="gpg")
    for arguments in (["InRelease"], ["Release.gpg", "Release"]):
        assert signer.fingerprint in verify(tmp_path, "--keyring", "./key.gpg", "--status-fd", "1", *arguments)


def verify(directory, *arguments: str, tool="gpgv"):
    done = subprocess.run(
        [tool, "--homedir", str(directory / "home"), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("compress", ["xz", "gzip", "zstd", "none"])
async def test_packages_of_every_compression_are_read(make_deb, compress):
    deb = make_deb("hello", "1:1.0-1", compress=compress)
    package = await read_binary(deb, deb.name)
    assert (package.package, package.version, package.architecture) == ("hello", "1:1.0-1", "amd64")
    assert package.control.endswith("\n It has a second line.\n .\n And a third.")


@pytest.mark.parametrize("content", [b"", b"not a package", b"!<arch>\n" + b"x" * 200])
async def test_what_is_no_package_is_refused(tmp_path, content):
    path = tmp_path / "x.deb"
    path.write_bytes(content)
    with pytest.raises(DeborchError) as refused:
        await read_binary(path, "hello_1.0_amd64.deb")
    assert refused.value.code is ErrorCode.INVALID_INPUT


async def test_a_truncated_package_is_refused(make_deb, tmp_path):
    deb = make_deb("hello", "1.0")
    cut = tmp_path / deb.name
    cut.write_bytes(deb.read_bytes()[:150])
    with pytest.raises(DeborchError) as refused:
        await read_binary(cut, deb.name)
    assert refused.value.code is ErrorCode.INVALID_INPUT


async def test_a_package_under_another_name_is_refused(make_deb):
    with pytest.raises(DeborchError) as refused:
        await read_binary(make_deb("hello", "1.0"), "hello_2.0_amd64.deb")
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert "hello_2.0_amd64.deb" in refused.value.message
