"""The hub's aiohttp application."""

from collections.abc import Mapping

from aiohttp import web

from deborch_hub.api.deps import ApiDeps
from deborch_hub.api.routes import hub_routes
from deborch_shared.http import ReadyCheck, build_application
from deborch_shared.security import TokenVerifier


def build_hub_application(
    deps: ApiDeps, verifier: TokenVerifier, ready_checks: Mapping[str, ReadyCheck]
) -> web.Application:
    """All routes of the hub. On shutdown the streams end at once, so that draining waits for no watcher."""
    app = build_application(hub_routes(deps), verifier=verifier, ready_checks=ready_checks)

    async def prepare(_: web.Application) -> None:
        deps.blobs.prepare()
        deps.ostree.prepare()

    async def end_streams(_: web.Application) -> None:
        deps.feed.close()
        deps.logs.close()

    app.on_startup.append(prepare)
    app.on_shutdown.append(end_streams)
    return app
