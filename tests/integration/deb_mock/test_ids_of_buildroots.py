"""Who root inside is, by who runs deb-mock."""

import sys

from deborch_shared import process

PROBE = """
import asyncio, sys
from pathlib import Path
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.engine_config import EngineConfig
buildroots = Buildroots(EngineConfig(state_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[1])))
asyncio.run(buildroots.probe(None, lambda chunk: None))
print(buildroots.ids is not None, buildroots.ids_are_mapped)
"""


async def test_root_inside_is_not_nobody_for_a_user_without_root(tmp_path):
    ran = await process.run(["unshare", "--user", "--map-root-user", sys.executable, "-c", PROBE, str(tmp_path)])
    assert ran.output.split() == [b"True", b"False"]
