"""Calls for a composer, from the queue that all composers share: each compose is claimed at the hub, once.

The bus acknowledges a message when `handle` returns. By then each claimed compose is in the journal, and what there is
no room for is back in the queue, for others.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from prometheus_client import Counter

from deborch_composer.compose_key import ComposeKey
from deborch_composer.composes import Composes, released
from deborch_composer.hub import Hub
from deborch_composer.journal import Journal
from deborch_composer.reporter import Reporter
from deborch_composer.room import Room
from deborch_shared.bus import Publication, publications
from deborch_shared.contract.composes import ComposeGrant
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event
from deborch_shared.events.composes import ComposeRequested

_log = logging.getLogger(__name__)
_requests = Counter("deborch_composer_requests_total", "Requests for composes by what became of them", ["answer"])
_NOT_OURS = frozenset({ErrorCode.CONFLICT, ErrorCode.NOT_FOUND, ErrorCode.ILLEGAL_TRANSITION})


class Link(Protocol):
    """What requests ask of the bus."""

    async def publish(self, publications: Sequence[Publication]) -> None: ...


class Requests:
    """The handler of the shared queue."""

    def __init__(
        self,
        *,
        composer: str,
        hub: Hub,
        room: Room,
        composes: Composes,
        journal: Journal,
        reporter: Reporter,
        link: Link,
    ) -> None:
        self._composer = composer
        self._hub = hub
        self._room = room
        self._composes = composes
        self._journal = journal
        self._reporter = reporter
        self._link = link

    async def handle(self, events: Sequence[Event]) -> None:
        """Claim what there is room for, one after the other.

        Raises:
            DeborchError: UNKNOWN_EVENT; what the hub says, if it is neither a grant nor a refusal.
        """
        for number, event in enumerate(events):
            if not isinstance(event.data, ComposeRequested):
                raise DeborchError(ErrorCode.UNKNOWN_EVENT, f"{event.type} is no request for a compose")
            if not self._room.look():
                await self._give_back(events[number:])
                return
            await self._claim(event.data)

    async def _give_back(self, events: Sequence[Event]) -> None:
        """Several requests came in one message: those that are left travel alone from here, with their ids."""
        _requests.labels("given-back").inc(len(events))
        await self._link.publish([message for event in events for message in publications([event])])

    async def _claim(self, request: ComposeRequested) -> None:
        try:
            grant = await self._hub.claim(request.compose_id, self._composer)
        except DeborchError as error:
            if error.code not in _NOT_OURS:
                raise
            _log.info("compose %d is not for us: %s", request.compose_id, error.message)
            _requests.labels("not-ours").inc()
            return
        _requests.labels("claimed").inc()
        await self._take(grant)

    async def _take(self, grant: ComposeGrant) -> None:
        key = ComposeKey(grant.compose_id, grant.attempt)
        try:
            await asyncio.to_thread(self._journal.add, key, grant.model_dump_json().encode())
        except (DeborchError, OSError) as error:
            _log.error("compose %s is given back: %s", key, error)
            await self._reporter.report(released(key, self._composer, str(error)))
            return
        _log.info("compose %s is ours", key)
        self._composes.start(grant)
