"""What is in a commit is asked of ostree once, and never believed of a commit that is not there."""

import pytest
from tests.unit.deb_bootc_compose.fake_tools import FakeTools, finished

from deb_bootc_compose.commits.repository import OstreeRepository
from deborch_shared.errors import DeborchError

COMMIT = "a" * 64
FILE = "b" * 64
LISTING = f"-00644 0 0 4 {FILE} /hello\n".encode()


@pytest.fixture
def repository(tmp_path):
    objects = tmp_path / "objects"
    for name, content in ((f"{COMMIT[:2]}/{COMMIT[2:]}.commit", "c"), (f"{FILE[:2]}/{FILE[2:]}.file", "file")):
        (objects / name).parent.mkdir(parents=True)
        (objects / name).write_text(content)
    return OstreeRepository(tmp_path, FakeTools(lambda _: LISTING))


def calls(repository):
    return len(repository._tools.asked)


async def test_ostree_is_asked_once_for_the_files_of_a_commit(repository):
    first = await repository.files_of(COMMIT)
    assert await repository.files_of(COMMIT) == first
    assert list(first) == ["/hello"]
    assert calls(repository) == 1


async def test_a_commit_that_lost_a_file_is_not_whole_though_its_listing_is_there(repository):
    assert await repository.is_whole(COMMIT)
    (repository.directory / "objects" / FILE[:2] / f"{FILE[2:]}.file").write_text("longer or shorter")
    assert not await repository.is_whole(COMMIT)
    assert calls(repository) == 1


async def test_the_listing_of_a_commit_that_is_gone_is_not_used_and_forgotten(repository):
    await repository.files_of(COMMIT)
    (repository.directory / "objects" / COMMIT[:2] / f"{COMMIT[2:]}.commit").unlink()
    repository._tools.answer = lambda _: finished(1, b"error: No such metadata object")

    with pytest.raises(DeborchError, match="No such metadata object"):
        await repository.files_of(COMMIT)
    await repository.forget_listings()
    assert list(repository.listings.iterdir()) == []


async def test_a_ref_that_is_where_it_should_be_is_not_moved(repository):
    (repository.directory / "refs/heads").mkdir(parents=True)
    (repository.directory / "refs/heads/sample").write_text(f"{COMMIT}\n")
    await repository.set_ref("sample", COMMIT)
    assert calls(repository) == 0
    await repository.set_ref("other", COMMIT)
    assert calls(repository) == 1
