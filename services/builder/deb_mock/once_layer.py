"""A layer with something that many builds on a base need: made once, in a sandbox whose changes are kept.

It belongs to one generation of a base and goes with it: `.PURPOSE-BASE` beside the dependency layers.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deb_mock import locks
from deb_mock.buildroot import Buildroots
from deb_mock.failures import FailureClass, failures_are
from deb_mock.model import Base
from deborch_shared.sandbox.box import Sandbox, open_sandbox
from deborch_shared.sandbox.record import remove_trees


def layer_path(directory: Path, purpose: str, base: Base) -> Path:
    """Where the layer for `purpose` is, made or not."""
    return directory / f".{purpose}-{base.name}"


@asynccontextmanager
async def layer_made_in(buildroots: Buildroots, base: Base, purpose: str, layer: Path) -> AsyncIterator[Sandbox]:
    """A sandbox on `base` whose changes become `layer`, unless the block raises. Whoever is first makes it.

    Layers of the same purpose for other generations are removed, unless a build uses them.
    """
    await _remove_others(layer, purpose)
    name = f"{purpose}-{secrets.token_hex(4)}"
    upper = layer.with_name(f".new-{name}")
    with failures_are(FailureClass.CHROOT):
        async with open_sandbox(buildroots.spec(name, base, upper=upper)) as sandbox:
            yield sandbox
            sandbox.keep_changes_as(layer)


async def _remove_others(layer: Path, purpose: str) -> None:
    for other in layer.parent.glob(f".{purpose}-*"):
        with locks.directory_if_free(other, alone=True) as free:
            if free and other != layer:
                gone = other.with_name(f".gone-{other.name.lstrip('.')}-{secrets.token_hex(4)}")
                other.rename(gone)
                await remove_trees((gone,))
