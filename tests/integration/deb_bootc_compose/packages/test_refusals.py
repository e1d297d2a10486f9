"""Archives that cannot be trusted or read, and packages that cannot be had: which error, with which reason."""

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import Gathering, TinyArchive
from tests.openpgp import Signer

from deb_bootc_compose.treefile.packages import Repository
from deborch_shared.errors import DeborchError, ErrorCode


async def refusal(gathering: Gathering, *packages: str, **keys: object) -> DeborchError:
    with pytest.raises(DeborchError) as caught:
        await gathering.gather(*packages, **keys)
    return caught.value


async def test_an_unknown_key_is_named(gathering: Gathering, archive: TinyArchive, stranger: Signer):
    archive.publish(signer=stranger)
    error = await refusal(gathering, "web")
    fingerprint = stranger.gpg("--with-colons", "--list-keys").decode().split("fpr:::::::::")[1].split(":")[0]
    assert (error.fields["failure_class"], error.code) == ("signature", ErrorCode.INVALID_SIGNATURE)
    assert fingerprint[-16:] in error.message
    assert error.message.startswith("suite: ")
    assert "keyrings" in error.hint


async def test_a_changed_release_file_is_refused(gathering: Gathering, archive: TinyArchive):
    release = archive.root / "dists/trixie/InRelease"
    release.write_bytes(release.read_bytes().replace(b"Suite: trixie", b"Suite: frixie"))
    error = await refusal(gathering, "web")
    assert error.fields["failure_class"] == "signature"
    assert "BADSIG" in error.message


async def test_an_archive_with_no_signature_is_refused(gathering: Gathering, archive: TinyArchive):
    (archive.root / "dists/trixie/InRelease").unlink()
    (archive.root / "dists/trixie/Release").write_text("Suite: trixie\n")
    error = await refusal(gathering, "web")
    assert (error.fields["failure_class"], error.code) == ("signature", ErrorCode.INVALID_SIGNATURE)


async def test_an_expired_release_file_is_refused_unless_the_treefile_allows_it(
    gathering: Gathering, archive: TinyArchive, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("deborch_shared.apt.host.carried_settings", lambda dump: {})
    archive.publish(valid_until="Thu, 01 Jan 2015 00:00:00 UTC")
    error = await refusal(gathering, "web")
    assert (error.fields["failure_class"], error.code) == ("signature", ErrorCode.INVALID_SIGNATURE)
    assert "expired" in error.message
    assert "check-valid-until" in error.hint
    assert "web" in (await gathering.gather("web", check_valid_until=False)).versions


async def test_an_index_that_is_not_what_the_release_says_can_be_tried_again(
    gathering: Gathering, archive: TinyArchive
):
    (archive.root / "dists/trixie/main/binary-amd64/Packages").write_text("Package: web\n")
    error = await refusal(gathering, "web")
    assert (error.fields["failure_class"], error.temporary) == ("fetch-fault", True)


async def test_a_suite_that_is_not_there_is_the_treefiles_fault(gathering: Gathering, archive: TinyArchive):
    error = await refusal(gathering, "web", suite="nowhere")
    assert (error.fields["failure_class"], error.code, error.temporary) == ("fetch-fault", ErrorCode.NOT_FOUND, False)


async def test_an_archive_that_cannot_be_reached_is_tried_again_and_its_password_not_told(gathering: Gathering):
    error = await refusal(gathering, "web", mirror="http://me:secret@127.0.0.1:9/debian")
    assert (error.fields["failure_class"], error.temporary) == ("fetch-fault", True)
    assert "127.0.0.1" in error.message
    assert "secret" not in str(error)


async def test_a_missing_package_comes_with_the_nearest_names(gathering: Gathering):
    error = await refusal(gathering, "librery", "extra", "nothing-like-it")
    assert (error.fields["failure_class"], error.code) == ("resolve", ErrorCode.NOT_FOUND)
    assert "there is no package librery (near: library)" in error.message
    assert "nothing-like-it" in error.message


async def test_a_missing_version_comes_with_those_that_there_are(gathering: Gathering):
    error = await refusal(gathering, "web=7")
    assert "Version '7' for 'web' was not found (there is 1)" in error.message


async def test_a_virtual_package_comes_with_who_provides_it(gathering: Gathering, archive: TinyArchive):
    archive.deb("server-a", provides="server")
    archive.deb("server-b", provides="server")
    archive.publish()
    assert "provided by server-a, server-b" in (await refusal(gathering, "server")).message


async def test_the_chain_of_reasons_is_told_to_its_end(gathering: Gathering, archive: TinyArchive):
    archive.deb("top", depends="middle")
    archive.deb("middle", depends="bottom")
    archive.deb("bottom", depends="library (>= 9:0)")
    archive.publish()
    error = await refusal(gathering, "top")
    assert (error.fields["failure_class"], error.code) == ("resolve", ErrorCode.CONFLICT)
    for part in ("top: Depends: middle", "middle: Depends: bottom", "bottom: Depends: library (>= 9:0)"):
        assert part in error.message


async def test_packages_that_conflict_are_named(gathering: Gathering, archive: TinyArchive):
    archive.deb("rival", conflicts="web")
    archive.publish()
    error = await refusal(gathering, "web", "rival")
    assert "rival: Conflicts: web" in error.message


async def test_what_is_needed_and_excluded_is_said_to_be_excluded(gathering: Gathering):
    needed = await refusal(gathering, "web", exclude_packages=("library",))
    assert "library is in exclude-packages" in needed.message
    asked = await refusal(gathering, "web", exclude_packages=("web",))
    assert "web is in packages and in exclude-packages" in asked.message


async def test_an_archive_with_nothing_for_the_architecture_is_told(gathering: Gathering, archive: TinyArchive):
    error = await refusal(gathering, "web", architecture="riscv64")
    assert error.fields["failure_class"] in ("resolve", "fetch-fault")
    assert "riscv64" in error.message


async def test_a_keyring_that_is_not_there_is_named(gathering: Gathering):
    error = await refusal(gathering, "web", keyrings=("missing.gpg",))
    assert (error.fields["failure_class"], "missing.gpg" in error.message) == ("treefile", True)


async def test_a_target_needs_a_hub(gathering: Gathering):
    error = await refusal(gathering, "web", repositories=(Repository(name="ours", target="trixie-ours"),))
    assert "no hub is asked" in error.message


async def test_a_snapshot_date_needs_a_mirror_with_snapshots(gathering: Gathering):
    error = await refusal(gathering, "web", mirror=None, snapshot="20261120T000000Z")
    assert error.fields["failure_class"] == "treefile"
    assert "{snapshot}" in error.hint
