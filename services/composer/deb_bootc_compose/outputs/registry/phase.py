"""The phases `output.registry` (push by digest) and `promote.tags` (move the tags)."""

from collections.abc import Sequence
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.oci.index_phase import images_by_variant, version_of
from deb_bootc_compose.outputs.oci.phase import image_name
from deb_bootc_compose.outputs.oci.signing import signature_name
from deb_bootc_compose.outputs.registry.skopeo import Repository, Skopeo, version_tag
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Scope, Target
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import IndexFacts, OciFacts, OstreeFacts, RegistryFacts
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode


def _wanted(request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
    if treefile is None:
        return False
    return OutputKind.REGISTRY in (request.outputs if request.outputs is not None else treefile.outputs)


def repository_of(treefile: ResolvedTreefile) -> Repository:
    """Where the images of `treefile` go.

    Raises:
        DeborchError: INVALID_INPUT if it names no registry.
    """
    if treefile.registry.url is None:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            "the output `registry` is asked for, and the treefile names none",
            hint="set registry: {url: host[:port]/path}",
            key="registry.url",
        )
    credentials = treefile.registry.credentials
    return Repository(
        f"{treefile.registry.url.rstrip('/')}/{image_name(treefile)}",
        tls_verify=treefile.registry.tls_verify,
        credentials=Path(treefile.directory / credentials) if credentials else None,
    )


class PushToRegistry(BarePhase):
    """The image, and its signature, under their digests: nobody who follows a tag sees them yet."""

    name = "output.registry"
    needs = ("ostree", "output.ociarchive")

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        return _wanted(request, treefile)

    def failable(self, treefile: ResolvedTreefile | None) -> bool:
        return treefile is not None and OutputKind.REGISTRY in treefile.failable

    async def inputs(self, work: PhaseWork) -> JsonObject:
        return {"repository": repository_of(work.treefile).name}

    async def holds(self, work: PhaseWork, result: PhaseResult) -> bool:
        """Whoever keeps the registry may have removed what no tag names."""
        facts = RegistryFacts.model_validate(result.facts)
        repository = repository_of(work.treefile)
        skopeo = Skopeo(work.tools, repository, FailureClass.OUTPUT, work.progress)
        return await skopeo.digest_of(repository.by_digest(facts.manifest_digest)) == facts.manifest_digest

    async def run(self, work: PhaseWork) -> JsonObject:
        ostree = OstreeFacts.model_validate(work.results["ostree"].facts)
        archive = work.results["output.ociarchive"]
        image = OciFacts.model_validate(archive.facts)
        layout = archive.directory / "oci"
        repository = repository_of(work.treefile)
        skopeo = Skopeo(work.tools, repository, FailureClass.OUTPUT, work.progress)
        work.progress.step(f"pushing to {repository.name}")
        await skopeo.push(layout, ostree.version, repository.by_digest(image.manifest_digest))
        if work.request.sign and work.treefile.oci.sign is not None:
            name = signature_name(image.manifest_digest)
            await skopeo.push(layout, name, repository.by_tag(name))
        return RegistryFacts(
            repository=repository.name,
            manifest_digest=image.manifest_digest,
            image_bytes=sum(size for _, size in image.layers),
        ).model_dump(mode="json")


class MoveTags(BarePhase):
    """Tags of the treefile, and the version, name what was pushed; the version first, `latest` and its like last."""

    name = "promote.tags"
    scope = Scope.COMPOSE
    needs = ("output.registry",)
    after = ("lint", "test", "output", "metadata", "promote.refs")
    cacheable = False

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:  # noqa: ARG002
        return request.promote

    async def inputs(self, work: PhaseWork) -> JsonObject:  # noqa: ARG002
        return {}

    async def run(self, work: PhaseWork) -> JsonObject:
        moved: dict[str, list[str]] = {}
        for variant, images in images_by_variant(work).items():
            target = images[0][0]
            treefile = work.treefiles[target]
            if ("output.registry", target) in work.all_results:
                tags = (version_tag(version_of(work, target)), *treefile.oci.tags)
                moved[variant] = await move_tags(work, treefile, await _pushed_digest(work, variant, target), tags)
        return {"tags": moved}


async def _pushed_digest(work: PhaseWork, variant: str, target: Target) -> str:
    """Of what the tags will name: the image, or the index over the images of several architectures, pushed now."""
    index = work.all_results.get(("output.index", None))
    digest = IndexFacts.model_validate(index.facts).digests.get(variant) if index is not None else None
    if index is None or digest is None:
        return RegistryFacts.model_validate(work.all_results["output.registry", target].facts).manifest_digest
    repository = repository_of(work.treefiles[target])
    skopeo = Skopeo(work.tools, repository, FailureClass.PROMOTION, work.progress)
    await skopeo.push(index.directory / variant, version_of(work, target), repository.by_digest(digest))
    return digest


async def move_tags(work: PhaseWork, treefile: ResolvedTreefile, digest: str, tags: Sequence[str]) -> list[str]:
    """Let `tags` name what is in the registry as `digest`, one after the other."""
    repository = repository_of(treefile)
    skopeo = Skopeo(work.tools, repository, FailureClass.PROMOTION, work.progress)
    for tag in tags:
        work.progress.step(f"tagging {repository.name}:{tag}")
        await skopeo.tag(digest, tag)
    return list(tags)
