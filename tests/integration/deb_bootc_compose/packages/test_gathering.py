"""What is gathered from archives that are as they should be."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.integration.deb_bootc_compose.packages.tiny_archive import Gathering, TinyArchive
from tests.openpgp import Signer

from deb_bootc_compose.state.trees import staging_place
from deb_bootc_compose.treefile.packages import Preference, Repository
from deborch_shared.errors import DeborchError


async def test_the_lock_names_each_package_its_source_and_where_it_was(gathering: Gathering, archive: TinyArchive):
    gathered = await gathering.gather("web")
    assert gathered.versions == {"apt": "1", "base": "1", "library": "1:2.0-1", "web": "1"}
    library = next(one for one in gathered.lock.packages if one.name == "library")
    assert (library.source, library.source_version) == ("toolkit", "2.0-1")
    assert (library.repository, library.path) == ("suite", "pool/library_1%3a2.0-1_amd64.deb")
    assert gathered.facts.package_count == 4
    assert gathered.facts.lock_sha256 == gathered.lock.digest
    assert gathered.facts.download_bytes == sum(
        path.stat().st_size for path in (gathered.directory / "repository").glob("*.deb")
    )


async def test_sources_are_listed_with_the_dsc_if_an_index_has_it(gathering: Gathering, archive: TinyArchive):
    sha256 = archive.source("web")
    archive.publish()
    sources = json.loads(((await gathering.gather("web")).directory / "sources.json").read_text())["sources"]
    of = {source["source"]: source for source in sources}
    assert of["web"]["dsc_sha256"] == sha256
    assert "dsc" not in of["toolkit"]
    assert of["toolkit"]["binaries"] == ["library"]


async def test_an_archive_without_sources_will_do(gathering: Gathering, archive: TinyArchive):
    archive.publish(sources=False)
    assert "web" in (await gathering.gather("web")).versions


async def test_two_composes_of_the_same_archive_give_the_same_files(
    gathering: Gathering, archive: TinyArchive, tmp_path: Path
):
    first = await gathering.gather("web")
    second = await Gathering(tmp_path / "elsewhere", archive).gather("web")
    assert first.lock_file.read_bytes() == second.lock_file.read_bytes()
    assert first.text("Packages") == second.text("Packages")
    assert first.text("Release") == second.text("Release")
    assert first.facts == second.facts


async def test_the_small_repository_is_signed_and_complete(gathering: Gathering, tmp_path: Path):
    first = await gathering.gather("web")
    repository = first.directory / "repository"
    again = Gathering(tmp_path / "again", gathering.archive)
    own = Repository(name="own", uris=(f"file:{repository}",), suites=("./",), signed_by=str(repository / "key.asc"))
    nothing = TinyArchive(tmp_path / "nothing", gathering.archive.signer)
    nothing.publish()
    second = await again.gather("web", mirror=nothing.uri, repositories=(own,))
    assert second.versions == first.versions


async def test_debs_are_hard_links_to_the_cache(gathering: Gathering):
    gathered = await gathering.gather("web")
    package = gathered.lock.packages[0]
    kept = gathering.state.debs / "sha256" / package.sha256[:2] / package.sha256
    assert kept.samefile(gathered.directory / "repository" / package.file_name)


async def test_recommended_packages_come_only_if_asked_for(gathering: Gathering):
    assert "extra" not in (await gathering.gather("web")).versions
    assert "extra" in (await gathering.gather("web", recommends=True)).versions


async def test_an_excluded_package_is_not_even_recommended(gathering: Gathering):
    assert "extra" not in (await gathering.gather("web", recommends=True, exclude_packages=("extra",))).versions


async def test_a_version_can_be_asked_for(gathering: Gathering, archive: TinyArchive):
    archive.deb("web", "2", depends="library")
    archive.publish()
    assert (await gathering.gather("web")).versions["web"] == "2"
    assert (await gathering.gather("web=1")).versions["web"] == "1"


async def test_preferences_decide_which_version_is_taken(gathering: Gathering, archive: TinyArchive):
    archive.deb("web", "2", depends="library")
    archive.publish()
    pin = Preference(package="web", pin="version 1", pin_priority=1001)
    assert (await gathering.gather("web", preferences=(pin,))).versions["web"] == "1"


async def test_own_repositories_bring_their_own_key(gathering: Gathering, tmp_path: Path, stranger: Signer):
    own = TinyArchive(tmp_path / "own", stranger, suite="ours")
    own.deb("web", "3~ours1", depends="library")
    own.publish()
    key = stranger.gpg("--armor", "--export").decode()
    repository = Repository(name="ours", uris=(own.uri,), suites=("ours",), components=("main",), signed_by=key)
    gathered = await gathering.gather("web", repositories=(repository,))
    assert gathered.versions["web"] == "3~ours1"
    assert [one.name for one in gathered.lock.repositories] == ["suite", "ours"]
    from_suite = await gathering.gather("web/trixie", repositories=(repository,))
    assert from_suite.versions["web"] == "1"


async def test_foreign_architectures_can_be_mixed_in(gathering: Gathering, archive: TinyArchive):
    archive.deb("web32", architecture="i386")
    archive.publish()
    gathered = await gathering.gather("web32:i386", foreign_architectures=("i386",))
    assert [one.architecture for one in gathered.lock.packages if one.name == "web32"] == ["i386"]
    assert [one.apt_name for one in gathered.lock.packages if one.name == "web32"] == ["web32:i386=1"]


async def test_kernel_and_initramfs_are_asked_for_but_in_containers(gathering: Gathering, archive: TinyArchive):
    for name in ("linux-image-tiny", "dracut", "ostree", "ostree-boot"):
        archive.deb(name)
    archive.publish()
    booted = await gathering.gather("web", kernel="linux-image-tiny")
    assert {"linux-image-tiny", "dracut", "ostree", "ostree-boot"} <= booted.versions.keys()
    contained = await gathering.gather("web", kernel="linux-image-tiny", container=True)
    assert "dracut" not in contained.versions


async def test_inputs_change_only_with_the_archive_and_the_package_keys(gathering: Gathering, archive: TinyArchive):
    first = await gathering.inputs("web")
    assert await gathering.inputs("web", hostname="other") == first
    assert await gathering.inputs("web", "extra") != first
    archive.deb("another")
    archive.publish()
    assert await gathering.inputs("web") != first


async def test_unchanged_archives_are_not_read_again(gathering: Gathering):
    await gathering.gather("web")
    lists = {path.name: path.stat().st_ino for path in gathering.state.lists.iterdir() if not path.is_symlink()}
    await gathering.gather("web", "extra")
    assert {path.name: path.stat().st_ino for path in gathering.state.lists.iterdir() if not path.is_symlink()} == lists


async def test_a_change_elsewhere_in_the_archive_leaves_the_facts_as_they_were(
    gathering: Gathering, archive: TinyArchive
):
    first = await gathering.gather("web")
    archive.deb("another")
    archive.publish()
    assert (await gathering.gather("web")).facts == first.facts


async def test_a_damaged_deb_in_the_cache_is_fetched_again(gathering: Gathering):
    package = (await gathering.gather("web")).lock.packages[0]
    kept = gathering.state.debs / "sha256" / package.sha256[:2] / package.sha256
    kept.chmod(0o644)
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.unlink()
    kept.write_bytes(content)
    gathered = await gathering.gather("web")
    assert (gathered.directory / "repository" / package.file_name).read_bytes() != bytes(content)


async def test_nothing_is_left_in_scratch_when_a_run_is_canceled(gathering: Gathering):
    running = asyncio.create_task(gathering.gather("web"))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert list(staging_place(gathering.state).iterdir()) == []


async def test_a_package_that_is_no_name_is_refused(gathering: Gathering):
    for text in ("web-", "-oDir=/", "w?b", "~nweb", "task^"):
        with pytest.raises(DeborchError, match="is no package"):
            await gathering.gather(text)
