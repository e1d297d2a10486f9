"""The daemon's own small HTTP server: /livez, /readyz, /metrics."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ReadyCheck, build_application, serve
from deborch_shared.security import TokenVerifier


def serve_health(
    host: str, port: int, port_file: Path | None, checks: Mapping[str, ReadyCheck]
) -> AbstractAsyncContextManager[int]:
    """Serve for as long as the context lasts; gives the port."""
    app = build_application([], verifier=TokenVerifier(_no_keys), ready_checks=checks)
    return serve(app, host, port, port_file=port_file)


async def _no_keys() -> Mapping[str, Any]:
    raise DeborchError(ErrorCode.FORBIDDEN, "this daemon has no route that takes a token")
