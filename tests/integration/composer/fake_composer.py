"""The real daemon as a process of its own, with a fake engine: `python -m`, killed by tests.

FAKE_HOLD_AT: the phase in which the engine stays for ever.
"""

import os

from tests.unit.composer.fakes import FakeEngine

from deborch_composer.daemon import Daemon
from deborch_composer.data_directory import locked
from deborch_composer.settings import ComposerSettings
from deborch_shared.clock import SystemClock
from deborch_shared.lifecycle import Lifecycle, run_service
from deborch_shared.settings import load


async def run(lifecycle: Lifecycle) -> None:
    settings = load(ComposerSettings)
    settings.state_path.mkdir(parents=True, exist_ok=True)
    engine = FakeEngine(settings.state_path)
    engine.hold_at = os.environ.get("FAKE_HOLD_AT")
    with locked(settings.data_dir) as data:
        await Daemon(settings, data, lambda _: engine, SystemClock()).run(lifecycle)


if __name__ == "__main__":
    run_service("deborch-composer", run)
