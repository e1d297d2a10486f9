"""The builder's process: reads settings, wires engine and daemon, runs until it is told to stop."""

import os
import sys

from deborch_builder.daemon import GIVE_BACK_S, Daemon
from deborch_builder.data_directory import locked
from deborch_builder.mock_engine import MockEngine
from deborch_builder.settings import BuilderSettings
from deborch_shared.apt.host import proxies_of
from deborch_shared.clock import SystemClock
from deborch_shared.errors import DeborchError
from deborch_shared.lifecycle import Lifecycle, run_service
from deborch_shared.settings import load
from deborch_shared.worker.disk_pressure import resume_bytes


async def run(settings: BuilderSettings, lifecycle: Lifecycle) -> None:
    """Work until `lifecycle` stops, then drain."""
    with locked(settings.data_dir) as data:
        engine = MockEngine(
            data.buildroots,
            cache_dir=settings.cache_dir,
            mirror=settings.mirror,
            proxies=proxies_of(os.environ),
            log_limit_bytes=settings.log_limit_bytes,
            keep_free_bytes=resume_bytes(settings.disk_floor_bytes),
        )
        await Daemon(settings, data, engine, SystemClock()).run(lifecycle)


def main() -> None:
    try:
        settings = load(BuilderSettings)
    except DeborchError as error:
        sys.exit(f"deborch-builder: {error}")
    run_service(
        "deborch-builder",
        lambda lifecycle: run(settings, lifecycle),
        log_level=settings.log_level,
        otlp_endpoint=settings.otlp_endpoint,
        drain_timeout_s=settings.drain_timeout_s + GIVE_BACK_S,
    )


if __name__ == "__main__":
    main()
