"""The phases `output.registry` (push by digest) and `promote.tags` (move the tags)."""

from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.oci.phase import image_name
from deb_bootc_compose.outputs.oci.signing import signature_name
from deb_bootc_compose.outputs.registry.skopeo import Repository, Skopeo, version_tag
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.facts import OciFacts, OstreeFacts, RegistryFacts
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
    needs = ("ostree", "output.registry")
    after = ("lint", "test.*", "output.*", "metadata", "promote.refs")
    cacheable = False

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        return request.promote and _wanted(request, treefile)

    async def inputs(self, work: PhaseWork) -> JsonObject:
        return {"tags": list(work.treefile.oci.tags)}

    async def run(self, work: PhaseWork) -> JsonObject:
        version = OstreeFacts.model_validate(work.results["ostree"].facts).version
        pushed = RegistryFacts.model_validate(work.results["output.registry"].facts)
        return {"tags": await move_tags(work, pushed, (version_tag(version), *work.treefile.oci.tags))}


async def move_tags(work: PhaseWork, pushed: RegistryFacts, tags: tuple[str, ...]) -> list[str]:
    """Let `tags` name what was pushed, one after the other."""
    repository = repository_of(work.treefile)
    skopeo = Skopeo(work.tools, repository, FailureClass.PROMOTION, work.progress)
    for tag in tags:
        work.progress.step(f"tagging {repository.name}:{tag}")
        await skopeo.tag(pushed.manifest_digest, tag)
    return list(tags)
