"""Images in a real registry, by real skopeo: what is pushed, what is shared, what a tag names, and what goes wrong."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.integration.deb_bootc_compose.registry_server import registry_program, running_registry
from tests.unit.deb_bootc_compose.outputs.trees import tree_of

from deb_bootc_compose.failures import FailureClass
from deb_bootc_compose.outputs.oci.cache import LayerCache
from deb_bootc_compose.outputs.oci.image import Descriptor, ImageLayer, Layout, add_index, platform
from deb_bootc_compose.outputs.oci.signing import add_signature, signature_name
from deb_bootc_compose.outputs.oci.writing import write_image, write_layers
from deb_bootc_compose.outputs.registry.skopeo import Repository, Skopeo
from deb_bootc_compose.phases.progress import Silent
from deb_bootc_compose.tools.port import Bound, Tools
from deb_bootc_compose.treefile.outputs import OciSettings
from deborch_cli.local.ports import free_ports
from deborch_shared.errors import DeborchError, ErrorCode


@pytest.fixture
async def registry(test_cache: Path, tmp_path: Path) -> AsyncIterator[str]:
    directory = tmp_path / "registry"
    directory.mkdir()
    async with running_registry(await registry_program(test_cache), directory, free_ports(1)[0]) as address:
        yield address


async def made(root: Path, content: bytes, architecture: str = "amd64") -> tuple[Layout, Descriptor, list[ImageLayer]]:
    tree = tree_of(
        root / "tree", {f"package{number}": {f"usr/bin/tool{number}": content * (number + 1)} for number in range(9)}
    )
    layout = Layout(root / "oci")
    settings = OciSettings()
    layers = await write_layers(tree, settings, LayerCache(root / "layers"), layout, workers=2, progress=Silent())
    image = write_image(layout, layers, settings, architecture=architecture, created_epoch=0, labels={"a": "b"})
    layout.name(image, "1", platform(architecture))
    return layout, image, layers


def skopeo(tools: Tools, name: str) -> tuple[Repository, Skopeo]:
    repository = Repository(name, tls_verify=False)
    return repository, Skopeo(tools, repository, FailureClass.OUTPUT, Silent())


async def test_an_image_is_there_by_its_digest_and_has_a_tag_only_once_it_is_given_one(
    registry: str, tools: Tools, tmp_path: Path
) -> None:
    layout, image, _ = await made(tmp_path / "a", b"x")
    repository, client = skopeo(tools, f"{registry}/debian/minimal")

    await client.push(layout.directory, "1", repository.by_digest(image.digest))

    assert await client.digest_of(repository.by_digest(image.digest)) == image.digest
    assert await client.digest_of(repository.by_tag("latest")) is None
    await client.tag(image.digest, "latest")
    assert await client.digest_of(repository.by_tag("latest")) == image.digest


async def test_the_tags_of_an_index_name_one_image_an_architecture(registry: str, tools: Tools, tmp_path: Path) -> None:
    layout, first, _ = await made(tmp_path / "a", b"x")
    other, second, _ = await made(tmp_path / "b", b"y", architecture="arm64")
    shutil.copytree(other.directory / "blobs", layout.directory / "blobs", dirs_exist_ok=True)
    index = add_index(layout, [(first, "amd64"), (second, "arm64")], {})
    layout.name(index, "both")
    repository, client = skopeo(tools, f"{registry}/debian/minimal")

    await client.push(layout.directory, "both", repository.by_digest(index.digest))
    await client.tag(index.digest, "latest")

    raw = await tools.run(
        ["skopeo", "inspect", "--tls-verify=false", "--raw", repository.by_tag("latest")], network=True
    )
    listed = orjson.loads(raw.output)["manifests"]
    assert {entry["platform"]["architecture"]: entry["digest"] for entry in listed} == {
        "amd64": first.digest,
        "arm64": second.digest,
    }


async def test_whoever_demands_a_signature_takes_the_signed_image_and_refuses_the_other(
    registry: str, tools: Tools, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signed, image, _ = await made(tmp_path / "signed", b"x")
    unsigned, other, _ = await made(tmp_path / "unsigned", b"y")
    repository, client = skopeo(tools, f"{registry}/debian/minimal")
    add_signature(signed, image, repository.name, key)
    await client.push(signed.directory, "1", repository.by_digest(image.digest))
    await client.push(signed.directory, signature_name(image.digest), repository.by_tag(signature_name(image.digest)))
    await client.push(unsigned.directory, "1", repository.by_digest(other.digest))
    await client.tag(image.digest, "signed")
    await client.tag(other.digest, "unsigned")

    assert await pulled(tools, tmp_path, registry, f"{repository.name}:signed", key) == 0
    assert await pulled(tools, tmp_path, registry, f"{repository.name}:unsigned", key) != 0


async def pulled(tools: Tools, root: Path, registry: str, reference: str, key: ec.EllipticCurvePrivateKey) -> int:
    """What a pull that demands a signature of `key` returns."""
    host = root / "client"
    shutil.rmtree(host, ignore_errors=True)
    (host / "registries.d").mkdir(parents=True)
    (host / "key.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    demand = [
        {"type": "sigstoreSigned", "keyPath": str(host / "key.pub"), "signedIdentity": {"type": "matchRepository"}}
    ]
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {registry: demand}}}
    (host / "policy.json").write_bytes(orjson.dumps(policy))
    (host / "registries.d" / "r.yaml").write_text(f"docker: {{'{registry}': {{use-sigstore-attachments: true}}}}\n")
    argv = [
        "skopeo", "--policy", str(host / "policy.json"), "--registries.d", str(host / "registries.d"),
        "copy", "--src-tls-verify=false", f"docker://{reference}", f"dir:{host}/pulled",
    ]  # fmt: skip
    result = await tools.run(argv, bound=(Bound(host, writable=True),), network=True, check=False)
    return result.returncode


@pytest.mark.parametrize(
    ("status", "code"), [(500, ErrorCode.FETCH_FAILED), (503, ErrorCode.FETCH_FAILED), (401, ErrorCode.FORBIDDEN)]
)
async def test_a_registry_that_does_not_take_it_is_told_of_in_its_own_words(
    tools: Tools, tmp_path: Path, status: int, code: ErrorCode
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text="no")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_ports(1)[0]
    await web.TCPSite(runner, "127.0.0.1", port).start()
    layout, image, _ = await made(tmp_path / "a", b"x")
    repository, client = skopeo(tools, f"127.0.0.1:{port}/debian/minimal")

    with pytest.raises(DeborchError) as refused:
        await client.push(layout.directory, "1", repository.by_digest(image.digest))

    await runner.cleanup()
    assert refused.value.code is code
    assert refused.value.fields["failure_class"] == FailureClass.OUTPUT
    assert f"127.0.0.1:{port}/debian/minimal" in refused.value.message
    assert refused.value.hint
