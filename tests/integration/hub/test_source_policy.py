"""A target that takes signed sources only: what the hub lets through, and what it refuses with nothing left behind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.hub.harness import ADMIN, Replica, StartReplica
from tests.integration.hub.packages import Source, source, stored
from tests.integration.hub.test_task_life import leading
from tests.openpgp import Signer

from deborch_shared.contract.builds import BuildCreate, UploadedFile
from deborch_shared.contract.targets import TargetCreate
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.ids import BuildId


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Signer]:
    signer = Signer(tmp_path / "known")
    yield signer
    signer.close()


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Signer]:
    signer = Signer(tmp_path / "stranger")
    yield signer
    signer.close()


async def strict(start_replica: StartReplica, keyring: Path | None) -> Replica:
    replica = await leading(start_replica, source_keyring=keyring)
    await replica.hub.create_target(
        TargetCreate(name="strict", suite="bookworm", architectures=("amd64",), require_signature=True), ADMIN
    )
    return replica


async def submit(replica: Replica, made: Source, directory: Path, change: Callable[[Path], None]) -> BuildId:
    """Submit `made` once `change` has been at its .dsc."""
    dsc = directory / made.dsc.name
    change(dsc)
    uploaded = UploadedFile(**(await stored(replica, dsc)).model_dump())
    return await replica.hub.create_build(BuildCreate(target="strict", dsc=uploaded, files=made.files), ADMIN, None)


async def assert_refused(replica: Replica, made: Source, directory: Path, change: Callable[[Path], None]) -> str:
    with pytest.raises(DeborchError) as refused:
        await submit(replica, made, directory, change)
    assert refused.value.code is ErrorCode.INVALID_SIGNATURE
    assert refused.value.hint
    for table in ("build", "task", "source_version"):
        assert await replica.database.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - names are above
    return refused.value.message


async def test_a_source_signed_by_a_key_of_the_keyring_is_taken(
    start_replica: StartReplica, known: Signer, tmp_path: Path
) -> None:
    replica = await strict(start_replica, known.keyring)
    assert await submit(replica, await source(replica, tmp_path, "tiny", "1.0"), tmp_path, known.sign)


async def test_an_armoured_keyring_does_as_well_as_a_binary_one(
    start_replica: StartReplica, known: Signer, tmp_path: Path
) -> None:
    keyring = tmp_path / "keyring.asc"
    keyring.write_bytes(known.gpg("--armor", "--export"))
    replica = await strict(start_replica, keyring)
    assert await submit(replica, await source(replica, tmp_path, "tiny", "1.0"), tmp_path, known.sign)


async def test_a_relative_keyring_is_the_file_of_that_name(
    start_replica: StartReplica, known: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(known.keyring.parent)
    replica = await strict(start_replica, Path(known.keyring.name))
    assert await submit(replica, await source(replica, tmp_path, "tiny", "1.0"), tmp_path, known.sign)


async def test_a_source_that_is_not_signed_or_by_a_stranger_or_was_changed_is_refused(
    start_replica: StartReplica, known: Signer, stranger: Signer, tmp_path: Path
) -> None:
    replica = await strict(start_replica, known.keyring)
    made = await source(replica, tmp_path, "tiny", "1.0")
    plain = (tmp_path / made.dsc.name).read_bytes()

    def change_after_signing(dsc: Path) -> None:
        known.sign(dsc)
        dsc.write_bytes(dsc.read_bytes().replace(b"Architecture: any", b"Architecture: all"))

    def nothing(_: Path) -> None:
        return

    for change, said in (
        (nothing, "not signed"),
        (stranger.sign, "no good signature"),
        (change_after_signing, "no good signature"),
    ):
        (tmp_path / made.dsc.name).write_bytes(plain)
        assert said in await assert_refused(replica, made, tmp_path, change)


async def test_another_source_with_a_good_signature_does_not_carry_an_unsigned_one(
    start_replica: StartReplica, known: Signer, tmp_path: Path
) -> None:
    replica = await strict(start_replica, known.keyring)
    made = await source(replica, tmp_path, "tiny", "1.0")
    evil = (tmp_path / made.dsc.name).read_bytes()

    def prepend(dsc: Path) -> None:
        dsc.write_bytes(evil.replace(b"Architecture: any", b"Architecture: all"))
        known.sign(dsc)
        dsc.write_bytes(evil + b"\n" + dsc.read_bytes())

    await assert_refused(replica, made, tmp_path, prepend)


async def test_without_a_keyring_nothing_is_trusted(start_replica: StartReplica, known: Signer, tmp_path: Path) -> None:
    replica = await strict(start_replica, None)
    said = await assert_refused(replica, await source(replica, tmp_path, "tiny", "1.0"), tmp_path, known.sign)
    assert "no keyring" in said
