"""Tags of images in a real registry, moved by the hub."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.integration.deb_bootc_compose.registry_server import registry_program, running_registry
from tests.integration.hub.composers import asked_for, commands_of, start_composer, until
from tests.integration.hub.harness import ADMIN

from deborch_cli.local.ports import free_ports
from deborch_hub.store.registry import Registries
from deborch_shared.contract.composes import PromoteTag, RollbackTag
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.composes import ComposeImage

TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
async def registry(test_cache: Path, tmp_path: Path) -> AsyncIterator[str]:
    directory = tmp_path / "registry"
    directory.mkdir()
    program = await registry_program(test_cache)
    async with running_registry(program, directory, free_ports(1)[0]) as address:
        yield address


async def pushed(registry: str, content: str) -> str:
    """The digest of an image that is there without a tag, as composers push it."""
    config = json.dumps({"made-of": content}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    part = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": part, "layers": []}).encode()
    named = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    base = f"http://{registry}/v2/debian/minimal"
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/blobs/uploads/") as begun:
            place = begun.headers["Location"]
        joint = "&" if "?" in place else "?"
        async with session.put(f"{place}{joint}digest={digest}", data=config) as sent:
            assert sent.status == 201
        headers = {"Content-Type": TYPE}
        async with session.put(f"{base}/manifests/{named}", data=manifest, headers=headers) as sent:
            assert sent.status == 201
    return named


async def composed(hub, stack, amqp_url, image: str, digest: str, name: str) -> int:
    composer = await start_composer(stack, amqp_url, hub, name)
    grant = await composer.claim(hub, await asked_for(hub))
    await composer.finish(grant, images=(ComposeImage(image=image, digest=digest, tags=("trixie",)),))
    await until(hub, grant.compose_id, "finished")
    return grant.compose_id


async def test_a_tag_is_moved_in_the_registry_and_back_and_not_if_somebody_else_moved_it(
    start_replica, stack, amqp_url, registry
):
    hub = await start_replica()
    commands, image, there = commands_of(hub), f"{registry}/debian/minimal", Registries()
    digests = [await pushed(registry, content) for content in ("one", "two", "three")]
    first = await composed(hub, stack, amqp_url, image, digests[0], "c1")
    second = await composed(hub, stack, amqp_url, image, digests[1], "c2")
    assert await there.digest_of(image, "trixie") is None
    await commands.promote_tag(PromoteTag(compose_id=first, image=image, tag="trixie"), ADMIN)
    assert await there.digest_of(image, "trixie") == digests[0]
    with pytest.raises(DeborchError) as refused:
        await commands.promote_tag(PromoteTag(compose_id=second, image=image, tag="trixie"), ADMIN)
    assert (refused.value.code, refused.value.fields["current"]) == (ErrorCode.CONFLICT, digests[0])
    await commands.promote_tag(PromoteTag(compose_id=second, image=image, tag="trixie", expected=digests[0]), ADMIN)
    assert await there.digest_of(image, "trixie") == digests[1]
    await commands.rollback_tag(RollbackTag(image=image, tag="trixie", expected=digests[1]), ADMIN)
    assert await there.digest_of(image, "trixie") == digests[0]
    await there.tag(image, "trixie", digests[2])
    with pytest.raises(DeborchError, match="past the hub") as refused:
        await commands.promote_tag(PromoteTag(compose_id=second, image=image, tag="trixie", expected=digests[0]), ADMIN)
    assert refused.value.code is ErrorCode.CONFLICT
    assert await there.digest_of(image, "trixie") == digests[2]


async def test_a_registry_that_is_away_moves_nothing(start_replica, stack, amqp_url):
    hub = await start_replica()
    image = f"127.0.0.1:{free_ports(1)[0]}/debian/minimal"
    compose_id = await composed(hub, stack, amqp_url, image, f"sha256:{'1' * 64}", "c1")
    with pytest.raises(DeborchError) as refused:
        await commands_of(hub).promote_tag(PromoteTag(compose_id=compose_id, image=image, tag="trixie"), ADMIN)
    assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert await hub.database.fetchval("SELECT count(*) FROM promotion") == 0
