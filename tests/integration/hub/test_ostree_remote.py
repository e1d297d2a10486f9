"""Commits that composers upload, refs that people move, and a real `ostree` that pulls them over HTTP."""

import asyncio
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from tests.integration.hub.composers import asked_for, commands_of, start_composer, until
from tests.integration.hub.harness import ADMIN
from tests.unit.hub_api.fakes import FakeVerifier

from deborch_hub.api import ApiDeps, build_hub_application
from deborch_shared.contract.composes import PromoteRef, RollbackRef
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.composes import ComposeCommit

REF = "debian/trixie/amd64/minimal"


def ostree(*arguments: str | Path) -> str:
    return subprocess.run(["ostree", *map(str, arguments)], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An archive-mode repository, as a composer has it."""
    repository = tmp_path / "made"
    ostree("init", "--mode=archive", f"--repo={repository}")
    return repository


def commit(repository: Path, content: str) -> str:
    """A commit with files, a large one, a link, an empty one, directories, modes and extended attributes."""
    tree = repository.parent / "tree"
    (tree / "usr/bin").mkdir(parents=True, exist_ok=True)
    (tree / "usr/bin/tool").write_text(content)
    (tree / "usr/bin/tool").chmod(0o4755)
    (tree / "usr/large").write_bytes(b"large" * 500_000)
    (tree / "usr/empty").touch()
    for number in range(40):
        (tree / "usr" / f"a-file-with-a-long-name-{number}").write_text(f"{number}")
    if not (tree / "usr/link").is_symlink():
        (tree / "usr/link").symlink_to("bin/" + "long-target/" * 25)
    return ostree("commit", f"--repo={repository}", f"--branch={REF}", f"--tree=dir={tree}", "--subject=s")


def tar_of(repository: Path, names: list[str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:") as archive:
        for name in names:
            archive.add(repository / "objects" / name[:2] / name[2:], arcname=name)
    return packed.getvalue()


def objects_in(repository: Path) -> list[str]:
    return sorted(path.parent.name + path.name for path in (repository / "objects").glob("??/*"))


@pytest.fixture
async def hub(start_replica):
    return await start_replica()


@pytest.fixture
async def client(hub):
    process = hub.process
    deps = ApiDeps(
        commands=hub.hub, composes=commands_of(hub), database=hub.database, blobs=process.blobs, logs=process.logs,
        ostree=process.ostree, feed=process.feed, archive_root=process.settings.data_dir / "archives",
        public_url="http://hub.test", key_fingerprint="F" * 40,
    )  # fmt: skip
    headers = {"Authorization": "Bearer composer"}
    async with TestClient(TestServer(build_hub_application(deps, FakeVerifier(), {})), headers=headers) as client:
        yield client


async def upload(client: TestClient, repository: Path, names: list[str] | None = None) -> None:
    asked = await client.post("/api/v1/ostree/missing", json={"objects": names or objects_in(repository)})
    body = tar_of(repository, (await asked.json())["objects"])
    response = await client.put("/api/v1/ostree/objects", data=body)
    assert response.status == 200, await response.text()


async def composed(hub, stack, amqp_url, checksum: str, name: str) -> int:
    """A finished compose that made this commit."""
    composer = await start_composer(stack, amqp_url, hub, name)
    grant = await composer.claim(hub, await asked_for(hub))
    made_of_it = ComposeCommit(ref=REF, commit=checksum, variant="minimal", architecture="amd64", version="13.1")
    await composer.finish(grant, commits=(made_of_it,))
    await until(hub, grant.compose_id, "finished")
    return grant.compose_id


async def test_a_client_pulls_what_is_promoted_upgrades_and_sees_the_rollback(
    hub, client, made, stack, amqp_url, tmp_path
):
    commands = commands_of(hub)
    first = commit(made, "one")
    await upload(client, made)
    one = await composed(hub, stack, amqp_url, first, "c1")
    clients = tmp_path / "client"
    ostree("init", "--mode=bare-user", f"--repo={clients}")
    url = str(client.make_url("/ostree"))
    ostree("remote", "add", f"--repo={clients}", "--no-gpg-verify", "hub", url)

    async def pulled() -> str:
        await asyncio.to_thread(ostree, "pull", f"--repo={clients}", "hub", REF)
        return ostree("rev-parse", f"--repo={clients}", f"hub:{REF}")

    with pytest.raises(subprocess.CalledProcessError):
        await pulled()
    await commands.promote_ref(REF, PromoteRef(compose_id=one, expected=None), ADMIN)
    assert await pulled() == first
    second = commit(made, "two")
    await upload(client, made)
    two = await composed(hub, stack, amqp_url, second, "c2")
    assert await pulled() == first
    await commands.promote_ref(REF, PromoteRef(compose_id=two, expected=first), ADMIN)
    assert await pulled() == second
    await asyncio.to_thread(ostree, "fsck", f"--repo={clients}")
    await commands.rollback_ref(REF, RollbackRef(expected=second), ADMIN)
    assert await pulled() == first
    acts = (await (await client.get("/api/v1/promotions")).json())["items"]
    assert [(act["value"], act["previous"], act["rolled_back"], act["promoted_by"]) for act in acts] == [
        (first, second, True, "key:admin"), (second, first, False, "key:admin"), (first, None, False, "key:admin"),
    ]  # fmt: skip


async def test_of_two_who_promote_at_the_same_time_one_is_told_that_the_ref_moved(hub, client, made, stack, amqp_url):
    commands = commands_of(hub)
    composes = []
    for number in (1, 2):
        checksum = commit(made, str(number))
        await upload(client, made)
        composes.append(await composed(hub, stack, amqp_url, checksum, f"c{number}"))
    outcomes = await asyncio.gather(
        *(commands.promote_ref(REF, PromoteRef(compose_id=one, expected=None), ADMIN) for one in composes),
        return_exceptions=True,
    )
    (refused,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refused, DeborchError)
    assert (refused.code, "current" in refused.fields) == (ErrorCode.CONFLICT, True)


async def test_a_commit_of_which_an_object_is_missing_is_not_promoted(hub, client, made, stack, amqp_url):
    checksum = commit(made, "one")
    left_out = next(name for name in objects_in(made) if name.endswith(".filez"))
    await upload(client, made, [name for name in objects_in(made) if name != left_out])
    compose_id = await composed(hub, stack, amqp_url, checksum, "c1")
    with pytest.raises(DeborchError, match=left_out) as refused:
        await commands_of(hub).promote_ref(REF, PromoteRef(compose_id=compose_id, expected=None), ADMIN)
    assert refused.value.code is ErrorCode.CONFLICT
    await upload(client, made)
    await commands_of(hub).promote_ref(REF, PromoteRef(compose_id=compose_id, expected=None), ADMIN)


async def test_an_object_that_its_name_belies_is_refused_and_not_served(client, made):
    commit(made, "one")
    for name in (
        next(one for one in objects_in(made) if one.endswith(kind)) for kind in ("filez", "commit", "dirtree")
    ):
        path = made / "objects" / name[:2] / name[2:]
        content = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        response = await client.put("/api/v1/ostree/objects", data=tar_of(made, [name]))
        assert response.status == 422, name
        assert (await client.get(f"/ostree/objects/{name[:2]}/{name[2:]}")).status == 404


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "a" * 64, f"{'a' * 64}.sh"])
async def test_a_tar_that_holds_anything_but_objects_is_refused(client, name):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:") as archive:
        archive.addfile(tarfile.TarInfo(name))
    assert (await client.put("/api/v1/ostree/objects", data=packed.getvalue())).status == 422
    assert (await client.put("/api/v1/ostree/objects", data=b"no tar at all" * 100)).status == 422


async def test_a_compose_that_is_not_finished_or_made_no_such_commit_is_not_promoted(
    hub, client, made, stack, amqp_url
):
    commands = commands_of(hub)
    with pytest.raises(DeborchError) as refused:
        await commands.promote_ref(REF, PromoteRef(compose_id=await asked_for(hub), expected=None), ADMIN)
    assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
    checksum = commit(made, "one")
    await upload(client, made)
    compose_id = await composed(hub, stack, amqp_url, checksum, "c1")
    with pytest.raises(DeborchError) as refused:
        await commands.promote_ref("another/ref", PromoteRef(compose_id=compose_id, expected=None), ADMIN)
    assert refused.value.code is ErrorCode.NOT_FOUND
