"""The auth service's process: reads settings, wires everything, runs until it is told to stop."""

import sys

from deborch_auth.api.routes import routes
from deborch_auth.domain.failures import FailureLimiter
from deborch_auth.handlers.bootstrap import ensure_first_admin
from deborch_auth.handlers.context import Auth
from deborch_auth.handlers.signing import current_signing_key, key_set
from deborch_auth.settings import AuthSettings
from deborch_auth.store.secret_files import load_pepper
from deborch_auth.store.store import Store
from deborch_shared.clock import SystemClock
from deborch_shared.db import Database
from deborch_shared.errors import DeborchError
from deborch_shared.http import build_application, serve
from deborch_shared.lifecycle import Lifecycle, run_service
from deborch_shared.security import TokenVerifier
from deborch_shared.settings import load


async def run(settings: AuthSettings, lifecycle: Lifecycle) -> None:
    """Serve until `lifecycle` stops."""
    async with Database(settings.database_url.get_secret_value(), application="deborch-auth") as database:
        auth = await prepare(settings, Store(database))
        verifier = TokenVerifier(lambda: key_set(auth))
        app = build_application(routes(auth), verifier=verifier, ready_checks={"database": lambda: _database(auth)})
        async with serve(app, settings.host, settings.port, port_file=settings.port_file):
            await lifecycle.run_until_stopped()


async def prepare(settings: AuthSettings, store: Store) -> Auth:
    """Bring database, pepper, signing key and first admin key to where requests can be answered."""
    clock = SystemClock()
    auth = Auth(
        store=store,
        pepper=settings.pepper.get_secret_value().encode() if settings.pepper else load_pepper(settings.data_dir),
        clock=clock,
        failures=FailureLimiter(clock),
        token_lifetime_s=settings.token_lifetime_s,
        signing_key_lifetime_s=settings.signing_key_lifetime_s,
    )
    await store.migrate()
    await current_signing_key(auth)
    if settings.bootstrap_key_file is not None:
        await ensure_first_admin(auth, settings.bootstrap_key_file)
    return auth


async def _database(auth: Auth) -> str | None:
    try:
        await auth.store.ping()
    except DeborchError as error:
        return error.message
    return None


def main() -> None:
    try:
        settings = load(AuthSettings)
    except DeborchError as error:
        sys.exit(f"deborch-auth: {error}")
    run_service(
        "deborch-auth",
        lambda lifecycle: run(settings, lifecycle),
        log_level=settings.log_level,
        otlp_endpoint=settings.otlp_endpoint,
        drain_timeout_s=settings.drain_timeout_s,
    )


if __name__ == "__main__":
    main()
