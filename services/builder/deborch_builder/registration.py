"""Making this host known to the hub at each start."""

import logging

from deborch_builder.hub import Hub
from deborch_shared.clock import Clock
from deborch_shared.contract.hosts import HostRegister, HostRegistration
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.worker.backoff import persist

_log = logging.getLogger(__name__)


async def register(hub: Hub, host: HostRegister, clock: Clock) -> HostRegistration:
    """What the hub answers, once it is there.

    Raises:
        DeborchError: NAME_TAKEN if another builder has the name; FORBIDDEN or UNAUTHENTICATED if the key is not good.
    """
    try:
        registered = await persist(lambda: hub.register(host), clock=clock, what="registering at the hub")
    except DeborchError as error:
        if error.code is not ErrorCode.NAME_TAKEN:
            raise
        raise DeborchError(
            ErrorCode.NAME_TAKEN,
            f"the hub knows another builder called {host.name}: {error.message}",
            hint="set DEBORCH_BUILDER_NAME to a free name and enrol again, or start with the key of the one known",
        ) from error
    _log.info("registered as %s: heartbeat every %.1f s", registered.name, registered.heartbeat_interval_s)
    return registered
