"""The shipped plug-ins, each in a real build of a tiny package."""

import hashlib
import json
import lzma
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.deb_mock.conftest import what_is_left

from deb_mock.engine import Engine
from deb_mock.engine_config import PluginSetting
from deborch_shared.errors import DeborchError, ErrorCode

COMPILES = 'echo "int main(void) { return 0; }" > x.c\ngcc -O2 -c x.c\n'


@pytest.fixture
def build(config, request_for, log):
    """Builds a package with plug-ins, given as (name, options); the results by the end of their names."""

    async def with_plugins(body: str, *plugins: tuple[str, dict]):
        settings = [PluginSetting(name, options=options) for name, options in plugins]
        engine = Engine(replace(config, plugins=tuple(settings)))
        request = getattr(request_for, "last", None) or request_for(body)
        result = await engine.build(request, on_log=log.extend)
        assert what_is_left(config.state_dir) == []
        stem = f"tiny_1.0_{request.architecture}"
        return {artifact.name.removeprefix(stem): artifact.path.read_bytes() for artifact in result.artifacts}

    return with_plugins


@pytest.fixture
def key(tmp_path_factory):
    """A GNUPGHOME with a secret key of tiny@example.org, and no agent left behind."""
    home = tmp_path_factory.mktemp("keys")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    new = ["--passphrase", "", "--quick-gen-key", "tiny@example.org", "ed25519", "sign", "never"]
    subprocess.run([*gpg, *new], check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    return home


async def test_a_second_build_finds_its_objects_in_the_cache_that_ccache_keeps(build, tmp_path, log, request_for):
    await build(COMPILES, ("ccache", {"max_size_mib": 100}))
    first = bytes(log)
    request_for.last = replace(request_for.last, result_dir=tmp_path / "again")
    await build(COMPILES, ("ccache", {"max_size_mib": 100}))
    assert b"ccache: direct cache hit" in first
    assert b"cache hit 1" in bytes(log)[len(first) :]


async def test_eatmydata_tmpfs_and_mount_change_the_buildroot_of_the_build(build, tmp_path):
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "file").write_text("from the host")
    body = (
        'echo "$LD_PRELOAD" | grep eatmydata\n'
        "test $(df --output=size -m /build | tail -1) = 100\n"
        'test "$(cat /opt/shown/file)" = "from the host"\n'
        "! touch /opt/shown/new"
    )
    await build(
        body,
        ("eatmydata", {}),
        ("tmpfs", {"size_mib": 100}),
        ("mount", {"binds": f"{shown}:/opt/shown", "allowed": str(tmp_path)}),
    )


async def test_facts_about_a_build_are_among_its_results_and_agree_with_each_other(build, key):
    results = await build(
        COMPILES,
        ("package-state", {}),
        ("hw-info", {}),
        ("procenv", {}),
        ("sign", {"gnupg_home": key, "key": "tiny@example.org"}),
        ("sbom", {}),
        ("compress-logs", {"format": "xz"}),
        ("provenance", {"builder_id": "https://example.org/builder"}),
    )
    state = json.loads(results[".package-state.json"])
    assert (state["added"], state["removed"]) == ([], [])
    assert b"processors:" in results[".hw-info.txt"]
    assert b"uid=59000(builder)" in results[".procenv.txt"]
    assert b"DEB_BUILD_OPTIONS=parallel=1" in results[".procenv.txt"]
    assert b"dpkg-buildpackage" in lzma.decompress(results[".build.xz"])
    document = json.loads(results[".spdx.json"])
    built = next(each for each in document["packages"] if each["SPDXID"].startswith("SPDXRef-Result-"))
    deb_sha256 = hashlib.sha256(results[".deb"]).hexdigest()
    assert built["checksums"] == [{"algorithm": "SHA256", "checksumValue": deb_sha256}]
    environment = [each for each in document["packages"] if each["SPDXID"].startswith("SPDXRef-Environment-")]
    assert len(environment) == len(state["installed"])
    assert all("checksums" in package for package in environment)
    statement = json.loads(results[".intoto.json"])
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    assert deb_sha256 in subjects.values()
    assert hashlib.sha256(results[".changes"]).hexdigest() in subjects.values()
    inputs = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"tiny_1.0.dsc", "tiny_1.0.tar.xz"} <= {each.get("name") for each in inputs}
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "https://example.org/builder"


async def test_signed_files_verify_and_name_each_other_by_their_new_hashes(build, key, tmp_path):
    results = await build("true", ("sign", {"gnupg_home": key, "key": "tiny@example.org"}))
    for suffix in (".changes", ".buildinfo"):
        signed = tmp_path / f"signed{suffix}"
        signed.write_bytes(results[suffix])
        verify = ["gpg", "--homedir", str(key), "--batch", "--no-autostart", "--verify", str(signed)]
        assert b"Good signature" in subprocess.run(verify, check=True, capture_output=True).stderr
    assert hashlib.sha256(results[".buildinfo"]).hexdigest().encode() in results[".changes"]
    assert not agents_of(key)


async def test_a_key_that_is_not_there_is_said_before_the_build(build, key):
    with pytest.raises(DeborchError, match=r"there is no secret key other@example\.org") as caught:
        await build("true", ("sign", {"gnupg_home": key, "key": "other@example.org"}))
    assert caught.value.fields["plugin"] == "sign"
    assert not agents_of(key)


@pytest.mark.parametrize(
    ("bind", "said"),
    [
        ("/etc:/opt/etc", "is not below"),
        ("{allowed}/link:/opt/etc", "is not below"),
        ("{allowed}:/usr", "would cover"),
        ("{allowed}:/opt/x:rw", "allow_writable"),
        ("{allowed}/none:/opt/x", "does not exist"),
    ],
)
async def test_mount_refuses_what_its_policy_does_not_allow(build, tmp_path, bind, said):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to("/etc")
    with pytest.raises(DeborchError, match=said) as caught:
        await build("true", ("mount", {"binds": bind.format(allowed=allowed), "allowed": str(allowed)}))
    assert caught.value.code is ErrorCode.FORBIDDEN
    assert caught.value.fields["failure_class"] == "policy"


def agents_of(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode()
        except OSError:
            continue
        if "gpg-agent" in text and str(home) in text:
            found.append(text)
    return found
