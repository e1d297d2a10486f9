"""The composer's process: reads settings, wires engine and daemon, runs until it is told to stop."""

import sys

from deborch_composer.bootc_engine import BootcEngine, engine_for_hub
from deborch_composer.daemon import GIVE_BACK_S, Daemon, HubServices
from deborch_composer.data_directory import locked
from deborch_composer.settings import ComposerSettings
from deborch_shared.clock import SystemClock
from deborch_shared.errors import DeborchError
from deborch_shared.lifecycle import Lifecycle, run_service
from deborch_shared.settings import load


async def run(settings: ComposerSettings, lifecycle: Lifecycle) -> None:
    """Work until `lifecycle` stops, then drain."""

    def engine(hub: HubServices) -> BootcEngine:
        builder_id = f"{settings.hub_url.rstrip('/')}/composers/{settings.name}"
        alone = engine_for_hub(settings.state_path, hub.builds, hub.targets, builder_id)
        return BootcEngine(alone, workers=settings.workers, allowed=settings.allowed_dirs)

    with locked(settings.data_dir) as data:
        await Daemon(settings, data, engine, SystemClock()).run(lifecycle)


def main() -> None:
    try:
        settings = load(ComposerSettings)
    except DeborchError as error:
        sys.exit(f"deborch-composer: {error}")
    run_service(
        "deborch-composer",
        lambda lifecycle: run(settings, lifecycle),
        log_level=settings.log_level,
        otlp_endpoint=settings.otlp_endpoint,
        drain_timeout_s=settings.drain_timeout_s + GIVE_BACK_S,
    )


if __name__ == "__main__":
    main()
