"""Source packages that must not be built: each a clear error, and nothing of them in the database."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.hub.harness import ADMIN, Replica, StartReplica
from tests.integration.hub.packages import Source, source, stored
from tests.integration.hub.test_task_life import leading

from deborch_shared.contract.builds import BuildCreate, UploadedFile
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode


async def uploaded(replica: Replica, path: Path) -> UploadedFile:
    return UploadedFile(**(await stored(replica, path)).model_dump())


async def with_text(replica: Replica, made: Source, directory: Path, change: Callable[[str], str]) -> Source:
    """`made` with another text in its .dsc."""
    dsc = directory / made.dsc.name
    dsc.write_text(change(dsc.read_text()))
    return replace(made, dsc=await uploaded(replica, dsc))


async def another_tarball(replica: Replica, made: Source, directory: Path) -> Source:
    """Same name and size as the .dsc says, other content."""
    tarball = directory / made.files[0].name
    tarball.write_bytes(b"x" * tarball.stat().st_size)
    return replace(made, files=(await uploaded(replica, tarball),))


async def cut_off_tarball(replica: Replica, made: Source, directory: Path) -> Source:
    tarball = directory / made.files[0].name
    tarball.write_bytes(tarball.read_bytes()[:-1])
    return replace(made, files=(await uploaded(replica, tarball),))


async def no_tarball(replica: Replica, made: Source, directory: Path) -> Source:
    return replace(made, files=())


async def never_uploaded(replica: Replica, made: Source, directory: Path) -> Source:
    return replace(made, files=(made.files[0].model_copy(update={"sha256": "0" * 64}),))


async def another_size_than_the_blob(replica: Replica, made: Source, directory: Path) -> Source:
    return replace(made, files=(made.files[0].model_copy(update={"size_bytes": 1}),))


async def a_file_too_many(replica: Replica, made: Source, directory: Path) -> Source:
    return replace(made, files=(*made.files, made.files[0].model_copy(update={"name": "more.tar.xz"})))


async def wrong_checksum_in_the_dsc(replica: Replica, made: Source, directory: Path) -> Source:
    return await with_text(replica, made, directory, lambda text: text.replace(made.files[0].sha256, "0" * 64))


async def a_name_that_climbs_in_the_dsc(replica: Replica, made: Source, directory: Path) -> Source:
    name = made.files[0].name
    return await with_text(replica, made, directory, lambda text: text.replace(f" {name}", f" ../{name}"))


async def a_dsc_whose_own_name_climbs(replica: Replica, made: Source, directory: Path) -> Source:
    return replace(made, dsc=made.dsc.model_copy(update={"name": f"../../{made.dsc.name}"}))


async def a_dsc_under_the_name_of_its_tarball(replica: Replica, made: Source, directory: Path) -> Source:
    return replace(made, dsc=made.dsc.model_copy(update={"name": made.files[0].name}))


async def no_dsc_at_all(replica: Replica, made: Source, directory: Path) -> Source:
    return await with_text(replica, made, directory, lambda _: "hello\n")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (another_tarball, ErrorCode.INVALID_SOURCE),
        (cut_off_tarball, ErrorCode.INVALID_SOURCE),
        (no_tarball, ErrorCode.INVALID_SOURCE),
        (never_uploaded, ErrorCode.NOT_FOUND),
        (another_size_than_the_blob, ErrorCode.NOT_FOUND),
        (a_file_too_many, ErrorCode.INVALID_SOURCE),
        (wrong_checksum_in_the_dsc, ErrorCode.INVALID_SOURCE),
        (a_name_that_climbs_in_the_dsc, ErrorCode.UNSAFE_PATH),
        (a_dsc_whose_own_name_climbs, ErrorCode.UNSAFE_PATH),
        (a_dsc_under_the_name_of_its_tarball, ErrorCode.INVALID_SOURCE),
        (no_dsc_at_all, ErrorCode.INVALID_SOURCE),
    ],
)
async def test_it_is_refused_with_a_hint_and_leaves_nothing_behind(
    start_replica: StartReplica, tmp_path: Path, spoil: Callable, code: ErrorCode
) -> None:
    replica = await leading(start_replica)
    await replica.hub.create_target(TargetCreate(name="stable", suite="bookworm", architectures=("amd64",)), ADMIN)
    made = await spoil(replica, await source(replica, tmp_path, "tiny", "1.0"), tmp_path)
    with pytest.raises(DeborchError) as refused:
        await replica.hub.create_build(BuildCreate(target="stable", dsc=made.dsc, files=made.files), ADMIN, None)
    assert refused.value.code is code
    assert refused.value.message
    assert refused.value.hint
    for table in ("build", "task", "source_package", "source_version"):
        assert await replica.database.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - names are above
