"""Making this composer known to the hub at each start."""

import logging

from deborch_composer.hub import Hub
from deborch_shared.clock import Clock
from deborch_shared.contract.composes import ComposerRegister, ComposerRegistration
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.worker.backoff import persist

_log = logging.getLogger(__name__)


async def register(hub: Hub, composer: ComposerRegister, clock: Clock) -> ComposerRegistration:
    """What the hub answers, once it is there.

    Raises:
        DeborchError: NAME_TAKEN if another composer has the name; FORBIDDEN or UNAUTHENTICATED if the key is not good.
    """
    try:
        registered = await persist(lambda: hub.register(composer), clock=clock, what="registering at the hub")
    except DeborchError as error:
        if error.code is not ErrorCode.NAME_TAKEN:
            raise
        raise DeborchError(
            ErrorCode.NAME_TAKEN,
            f"the hub knows another composer called {composer.name}: {error.message}",
            hint="set DEBORCH_COMPOSER_NAME to a free name and enrol again, or start with the key of the one known",
        ) from error
    _log.info("registered as %s: heartbeat every %.1f s", registered.name, registered.heartbeat_interval_s)
    return registered
