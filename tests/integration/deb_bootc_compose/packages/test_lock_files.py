"""The same compose made again, from its lock file."""

import json
from pathlib import Path

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import Gathering, TinyArchive

from deb_bootc_compose.gather.lock import read_lock
from deborch_shared.errors import DeborchError, ErrorCode


async def moved_on(archive: TinyArchive, *, keep: bool) -> None:
    """The archive has another version of web."""
    archive.deb("web", "2", depends="library")
    if not keep:
        archive.remove("web_1_amd64.deb")
    archive.publish()


def strictly(path: Path) -> dict[str, object]:
    return {"lockfile": path, "lockfile_strict": True}


async def test_a_strict_lock_gives_the_same_tree_when_the_archive_has_moved_on(
    gathering: Gathering, archive: TinyArchive
):
    first = await gathering.gather("web")
    await moved_on(archive, keep=False)
    again = await gathering.gather("web", request=strictly(first.lock_file))
    assert again.facts == first.facts
    assert again.text("Packages") == first.text("Packages")
    assert again.lock_file.read_bytes() == first.lock_file.read_bytes()


async def test_a_strict_lock_needs_no_archive_if_all_is_in_the_cache(gathering: Gathering):
    first = await gathering.gather("web")
    elsewhere = "http://127.0.0.1:9/debian"
    request = strictly(first.lock_file)
    assert await gathering.inputs("web", mirror=elsewhere, request=request)
    assert (await gathering.gather("web", mirror=elsewhere, request=request)).facts == first.facts


async def test_what_is_missing_is_fetched_by_its_digest(gathering: Gathering, archive: TinyArchive, tmp_path: Path):
    first = await gathering.gather("web")
    await moved_on(archive, keep=True)
    fresh = Gathering(tmp_path / "fresh", archive)
    assert (await fresh.gather("web", request=strictly(first.lock_file))).facts == first.facts


async def test_a_mirror_that_has_a_deb_no_more_is_told_with_its_name(
    gathering: Gathering, archive: TinyArchive, tmp_path: Path
):
    first = await gathering.gather("web")
    await moved_on(archive, keep=False)
    fresh = Gathering(tmp_path / "fresh", archive)
    with pytest.raises(DeborchError, match="no archive has these any more: web 1 amd64") as caught:
        await fresh.gather("web", request=strictly(first.lock_file))
    assert (caught.value.fields["failure_class"], caught.value.code) == ("fetch-fault", ErrorCode.NOT_FOUND)
    assert "snapshot" in caught.value.hint


async def test_a_deb_that_is_another_under_the_same_name_is_refused(
    gathering: Gathering, archive: TinyArchive, tmp_path: Path
):
    first = await gathering.gather("web")
    (archive.root / "pool/web_1_amd64.deb").write_bytes(b"something else")
    fresh = Gathering(tmp_path / "fresh", archive)
    with pytest.raises(DeborchError) as caught:
        await fresh.gather("web", request=strictly(first.lock_file))
    assert caught.value.code == ErrorCode.DIGEST_MISMATCH


async def test_a_lock_that_is_not_strict_keeps_versions_while_they_are_there(
    gathering: Gathering, archive: TinyArchive
):
    first = await gathering.gather("web")
    await moved_on(archive, keep=True)
    kept = await gathering.gather("web", "extra", request={"lockfile": first.lock_file})
    assert kept.versions == {**first.versions, "extra": "1"}
    await moved_on_without(archive)
    assert (await gathering.gather("web", request={"lockfile": first.lock_file})).versions["web"] == "2"


async def moved_on_without(archive: TinyArchive) -> None:
    archive.remove("web_1_amd64.deb")
    archive.publish()


async def test_a_strict_lock_that_lacks_a_package_is_refused(gathering: Gathering):
    first = await gathering.gather("web")
    with pytest.raises(DeborchError, match="it has no extra"):
        await gathering.gather("web", "extra", request=strictly(first.lock_file))


async def test_a_lock_of_another_architecture_is_refused(gathering: Gathering):
    first = await gathering.gather("web")
    with pytest.raises(DeborchError, match="it is for amd64, not for i386"):
        await gathering.gather("web", architecture="i386", request=strictly(first.lock_file))


async def test_a_directory_has_a_lock_file_for_each_target(gathering: Gathering, tmp_path: Path):
    first = await gathering.gather("web")
    with pytest.raises(DeborchError, match=r"no lock file .*tiny\.amd64\.lock\.json"):
        await gathering.gather("web", request=strictly(tmp_path))
    (tmp_path / "tiny.amd64.lock.json").write_bytes(first.lock_file.read_bytes())
    assert (await gathering.gather("web", request=strictly(tmp_path))).facts == first.facts


async def test_a_lock_file_that_leads_out_of_an_archive_is_refused(gathering: Gathering, tmp_path: Path):
    content = json.loads((await gathering.gather("web")).lock_file.read_text())
    bad = tmp_path / "bad.json"
    for key, value in (("path", "../../etc/shadow"), ("path", "/etc/shadow"), ("sha256", "../x"), ("name", "a/b")):
        changed = json.loads(json.dumps(content))
        changed["packages"][0][key] = value
        bad.write_text(json.dumps(changed))
        with pytest.raises(DeborchError, match=f"packages.0.{key}"):
            read_lock(bad)
