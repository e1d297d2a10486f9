"""Every route of the hub, in the order in which the documentation shows them."""

from deborch_hub.api.archive_files import ArchiveFileRoutes
from deborch_hub.api.archives import ArchiveRoutes
from deborch_hub.api.artifacts import ArtifactRoutes
from deborch_hub.api.blobs import BlobRoutes
from deborch_hub.api.builds import BuildRoutes
from deborch_hub.api.compose_logs import ComposeLogRoutes
from deborch_hub.api.composers import ComposerRoutes
from deborch_hub.api.composes import ComposeRoutes
from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.documentation import documentation_routes
from deborch_hub.api.events import EventRoutes
from deborch_hub.api.hosts import HostRoutes
from deborch_hub.api.logs import LogRoutes
from deborch_hub.api.ostree import OstreeRoutes
from deborch_hub.api.promotions import PromotionRoutes
from deborch_hub.api.targets import TargetRoutes
from deborch_hub.api.tasks import TaskRoutes
from deborch_shared.http import Route


def hub_routes(deps: ApiDeps) -> list[Route]:
    """The whole table."""
    remote = OstreeRoutes(deps)
    resources = [
        *TargetRoutes(deps).table(),
        *BuildRoutes(deps).table(),
        *TaskRoutes(deps).table(),
        *LogRoutes(deps).table(),
        *ArtifactRoutes(deps).table(),
        *BlobRoutes(deps).table(),
        *HostRoutes(deps).table(),
        *ArchiveRoutes(deps).table(),
        *ComposeRoutes(deps).table(),
        *ComposeLogRoutes(deps).table(),
        *ComposerRoutes(deps).table(),
        *PromotionRoutes(deps).table(),
        *remote.table(),
        *EventRoutes(deps).table(),
    ]
    return [*resources, *documentation_routes(resources), *ArchiveFileRoutes(deps).table(), *remote.files()]
