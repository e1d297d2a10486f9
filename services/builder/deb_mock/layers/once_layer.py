"""A layer with something that many builds on a base need: made once, in a sandbox whose changes are kept.

It belongs to one generation of a base, and lies beside the dependency layers, found, held and removed as they are.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.failures import FailureClass, failures_are
from deb_mock.layers.store import LayerContents, LayerStore, digest_of
from deb_mock.model import Base
from deb_mock.stages.steps import Steps
from deborch_shared.sandbox.box import Sandbox, open_sandbox

_ONCE = "made-once"
"""In the list of files, so that no set of packages holds all that such a layer does: none is made on top of it."""


@asynccontextmanager
async def once_layer(
    buildroots: Buildroots, base: Base, purpose: str, fill: Callable[[Sandbox], Awaitable[None]], steps: Steps
) -> AsyncIterator[Path]:
    """The layer for `purpose` on `base`, kept from removal meanwhile. If it is not there, `fill` is given a sandbox,
    whose changes become the layer; those of the same purpose for other generations go, unless a build uses them."""
    store = LayerStore(buildroots.layers_of(base))
    store.directory.mkdir(parents=True, exist_ok=True)
    digest = digest_of([_ONCE, purpose, base.name])

    async def make(layer: Path) -> LayerContents:
        await _remove_others(store, digest, purpose)
        name = f"{purpose}-{secrets.token_hex(4)}"
        spec = buildroots.spec(name, base, upper=store.directory / f".new-{name}")
        with failures_are(FailureClass.CHROOT):
            async with open_sandbox(spec) as sandbox:
                await fill(sandbox)
                sandbox.keep_changes_as(layer)
        return LayerContents(((purpose, base.name, _ONCE),), with_apt_state=True)

    waiting = f"another build prepares {purpose}; waiting for it"
    async with store.made_once(digest, make, on_wait=lambda: steps.say(waiting)) as found:
        yield found.chain[0]


async def _remove_others(store: LayerStore, digest: str, purpose: str) -> None:
    markers = list(store.markers())
    needed = {parent for marker in markers for parent in marker.parents}
    for marker in markers:
        is_other = any((name, kind) == (purpose, _ONCE) for name, _, kind in marker.files) and not marker.parents
        if is_other and marker.digest not in needed | {digest}:
            await store.remove(marker.digest)
