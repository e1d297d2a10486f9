"""What may enter an archive, in the caller's transaction."""

import pytest

from deborch_hub.domain.packages import BinaryFile
from deborch_shared.errors import DeborchError, ErrorCode


async def add(shop, target, *files: BinaryFile, source_version_id=None):
    async with shop.database.transaction() as connection:
        return await shop.contents.add_build(
            connection, target, build_id=None, binaries=files, source_version_id=source_version_id
        )


async def counts(shop):
    row = await shop.database.fetchrow(
        "SELECT (SELECT count(*) FROM archive_binary) AS binaries, (SELECT count(*) FROM archive_source) AS sources, "
        "(SELECT wanted_generation FROM archive ORDER BY id LIMIT 1) AS generation"
    )
    return tuple(row)


async def test_each_addition_raises_the_wanted_generation(shop, make_deb):
    target = await shop.add_target("t1")
    assert await add(shop, target, await shop.add_deb(make_deb("a1", "1.0"))) == 2
    assert await add(shop, target, await shop.add_deb(make_deb("a1", "1.1"))) == 3
    assert await counts(shop) == (2, 0, 3)


async def test_a_version_that_is_there_with_other_content_is_refused_and_named(shop, make_deb):
    target = await shop.add_target("t1")
    there = await shop.add_deb(make_deb("a1", "1.0", content="one"))
    await add(shop, target, there)
    fresh = await shop.add_deb(make_deb("b1", "1.0"))
    with pytest.raises(DeborchError) as refused:
        await add(shop, target, fresh, await shop.add_deb(make_deb("a1", "1.0", content="two")))
    assert refused.value.code is ErrorCode.VERSION_PRESENT
    assert there.sha256 in refused.value.message
    assert await counts(shop) == (1, 0, 2)


async def test_a_refusal_changes_nothing_in_a_transaction_that_goes_on(shop, make_deb):
    target = await shop.add_target("t1")
    await add(shop, target, await shop.add_deb(make_deb("a1", "1.0", content="one")))
    other = await shop.add_deb(make_deb("a1", "1.0", content="two"))
    async with shop.database.transaction() as connection:
        with pytest.raises(DeborchError):
            await shop.contents.add_build(connection, target, build_id=None, binaries=[other], source_version_id=None)
    assert await counts(shop) == (1, 0, 2)


async def test_the_same_content_again_is_accepted_and_stays_as_it_was(shop, make_deb):
    target = await shop.add_target("t1")
    file = await shop.add_deb(make_deb("data", "1.0", "all"))
    await add(shop, target, file)
    assert await add(shop, target, file, file) == 3
    assert await shop.database.fetchval("SELECT generation FROM archive_binary") == 2


async def test_two_archives_may_hold_one_version_in_two_forms(shop, make_deb):
    one, two = await shop.add_target("t1"), await shop.add_target("t2")
    await add(shop, one, await shop.add_deb(make_deb("a1", "1.0", content="one")))
    await add(shop, two, await shop.add_deb(make_deb("a1", "1.0", content="two")))
    assert (await counts(shop))[0] == 2


async def test_one_build_cannot_bring_one_version_in_two_forms(shop, make_deb):
    target = await shop.add_target("t1")
    files = [await shop.add_deb(make_deb("a1", "1.0", content=content)) for content in ("one", "two")]
    with pytest.raises(DeborchError) as refused:
        await add(shop, target, *files)
    assert refused.value.code is ErrorCode.VERSION_PRESENT


async def test_a_package_for_an_architecture_that_the_target_has_not_is_refused(shop, make_deb):
    target = await shop.add_target("t1")
    with pytest.raises(DeborchError) as refused:
        await add(shop, target, await shop.add_deb(make_deb("a1", "1.0", "arm64")))
    assert refused.value.code is ErrorCode.INVALID_INPUT


async def test_the_same_source_version_from_another_dsc_is_refused(shop):
    target = await shop.add_target("t1")
    first = await shop.add_source("hello", "1.0", b"Source: hello\nVersion: 1.0\n", {})
    second = await shop.add_source("hello", "1.0", b"Source: hello\nVersion: 1.0\nX: y\n", {})
    await add(shop, target, source_version_id=first)
    await add(shop, target, source_version_id=first)
    with pytest.raises(DeborchError) as refused:
        await add(shop, target, source_version_id=second)
    assert refused.value.code is ErrorCode.VERSION_PRESENT
    assert await counts(shop) == (0, 1, 3)


async def test_a_dsc_that_no_index_could_list_is_refused(shop):
    target = await shop.add_target("t1")
    version_id = await shop.add_source("hello", "1.0", b"Source: hello\nX: \x01\n", {})
    with pytest.raises(DeborchError) as refused:
        await add(shop, target, source_version_id=version_id)
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert await counts(shop) == (0, 0, 1)
