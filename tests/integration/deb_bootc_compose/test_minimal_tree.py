"""A real minimal tree: in the shape that boots, the same each time, and explained where it cannot be made."""

import os
import shutil
from dataclasses import replace

import orjson
import pytest
from tests.openpgp import Signer

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.gather.lock import read_lock
from deb_bootc_compose.ostree.committing import PREFIX
from deb_bootc_compose.ostree.phase import OstreePhase
from deb_bootc_compose.ostree.rootfs import make_rootfs
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.state.layout import State
from deborch_shared.errors import DeborchError


@pytest.fixture
def repository(minimal_tree, tools):
    return OstreeRepository(minimal_tree.state.work_repository, tools)


async def test_the_commit_has_the_shape_that_boots(minimal_tree, repository):
    files = await repository.files_of(minimal_tree.facts.commit)
    modules = f"/usr/lib/modules/{minimal_tree.facts.kernel_version}"
    assert {f"{modules}/vmlinuz", f"{modules}/initramfs.img", "/usr/lib/ostree/prepare-root.conf"} <= set(files)
    assert files[f"{modules}/initramfs.img"].size_bytes > 5 << 20
    assert files["/ostree"].target == "sysroot/ostree"
    assert files["/home"].target == "var/home"
    assert "/etc" not in files
    assert "/usr/etc/passwd" in files
    assert not [path for path in files if path.split("/")[1] in {"var", "boot", "run", "tmp"} and path.count("/") > 1]
    assert files["/usr/etc/systemd/system/default.target"].target == "/usr/lib/systemd/system/multi-user.target"
    assert files["/usr/etc/shadow"].mode & 0o777 == 0o640
    sources = await repository.read(minimal_tree.facts.commit, "/usr/etc/apt/sources.list")
    assert not sources, "the repository of this machine is not in the image"
    made = await repository.read(minimal_tree.facts.commit, "/usr/lib/tmpfiles.d/zz-image-var.conf")
    assert made
    assert b"repository" not in made, "nor the path that it has here"


async def test_the_tree_is_changed_as_the_treefile_says(minimal_tree, repository):
    commit = minimal_tree.facts.commit
    files = await repository.files_of(commit)
    wanted = "/usr/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    assert files[wanted].target == "/usr/lib/systemd/system/systemd-networkd.service"
    assert files["/usr/etc/alternatives/awk"].target == "/usr/bin/mawk"
    assert b"tester:x:1000:1000::/var/home/tester:/bin/bash\n" in (
        await repository.read(commit, "/usr/etc/passwd") or b""
    )
    assert b"d /var/home/tester 0700" in (await repository.read(commit, "/usr/lib/tmpfiles.d/zz-image-var.conf") or b"")
    release = (await repository.read(commit, "/usr/lib/os-release") or b"").decode()
    assert f'PRETTY_NAME="Minimal {minimal_tree.facts.version}"' in release
    count = await repository.read(commit, "/usr/lib/package-count")
    assert int(count or 0) == minimal_tree.facts.package_count
    assert not [path for path in files if "/share/man/man" in path]


async def test_the_commit_says_what_it_was_made_of(minimal_tree, repository):
    key = f"--print-metadata-key={PREFIX}.packages"
    shown = await repository.ostree("show", key, minimal_tree.facts.commit)
    packages = orjson.loads(shown.output.decode().strip().strip("'"))
    assert len(packages) == minimal_tree.facts.package_count
    lock = read_lock(minimal_tree.gathered.directory / "lock.json")
    assert {(name, version) for name, version, _ in packages} == {(one.name, one.version) for one in lock.packages}


async def test_a_checkout_is_links_into_the_repository(minimal_tree, repository):
    place = minimal_tree.state.scratch / "checkout-test"
    try:
        await repository.checkout(minimal_tree.facts.commit, place)
        assert (place / "usr/bin/ostree").stat().st_nlink > 1
        assert (place / "usr/etc/machine-id").stat().st_nlink == 1, "an empty file is one of its own"
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def test_a_record_does_not_hold_without_each_object_or_if_the_ref_is_elsewhere(
    minimal_tree, repository, phase_work
):
    work = phase_work(minimal_tree.treefile, gather=minimal_tree.gathered)
    phase = OstreePhase()
    assert await phase.holds(work, minimal_tree.committed)
    elsewhere = replace(work, request=work.request.model_copy(update={"parent": "0" * 64}))
    assert not await phase.holds(elsewhere, minimal_tree.committed)
    files = await repository.files_of(minimal_tree.facts.commit)
    place = repository.directory / "objects" / files["/usr/bin/ostree"].object_name
    hidden = place.with_suffix(".hidden")
    place.rename(hidden)
    try:
        assert not await phase.holds(work, minimal_tree.committed)
    finally:
        hidden.rename(place)


@pytest.mark.slow
async def test_the_same_packages_make_the_same_commit_each_time(minimal_tree, phase_work, tmp_path_factory):
    """In a state directory of its own, with nothing cached, not even the initramfs."""
    state = State(tmp_path_factory.mktemp("again") / "state")
    state.scratch.mkdir(parents=True)
    work = phase_work(minimal_tree.treefile, gather=minimal_tree.gathered, state=state)
    again = OstreeFacts.model_validate(await OstreePhase().run(replace(work, epoch=1_800_000_000)))
    assert again.content_checksum == minimal_tree.facts.content_checksum
    assert again.commit == minimal_tree.facts.commit
    assert not [path for path in state.scratch.rglob("*") if path.name != "staging"]


async def test_a_repository_that_another_key_signed_is_refused(minimal_tree, tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(minimal_tree.gathered.directory / "repository", repository, copy_function=os.link)
    (repository / "key.asc").unlink()
    signer = Signer(tmp_path / "gpg")
    (repository / "key.asc").write_bytes(signer.gpg("--armor", "--export"))
    signer.close()
    lock = read_lock(minimal_tree.gathered.directory / "lock.json")
    with pytest.raises(DeborchError) as caught:
        await make_rootfs(
            tmp_path / "root",
            repository,
            lock,
            minimal_tree.treefile,
            scratch=tmp_path,
            epoch=1_700_000_000,
            on_output=lambda _: None,
        )
    assert caught.value.fields["failure_class"] == "tree"
    assert "NO_PUBKEY" in caught.value.message or "not signed" in caught.value.message
