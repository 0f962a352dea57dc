"""Answer requests for missed events from the stream; concurrent equal requests share one read."""

from pylon.common.read_cache import SingleFlight
from pylon.rpc.calls import CallResult, HandlerTable, ServiceCall
from pylon_client.contract import headers
from pylon_client.contract.event_replay import (
    PUBLISHED_BLOCK,
    PUBLISHED_CHANGES,
    PUBLISHED_NEURONS,
    ReplayParams,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    NeuronsEventSubject,
)
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import EventLogReader, FeedEvent


class ReplayHandlers:
    """Returns events of the event stream, so that subscribers need no access to JetStream.

    After an outage all subscribers send the same request at once; concurrent ones share one read.

    Args:
        event_log: reads the event stream.
    """

    def __init__(self, event_log: EventLogReader) -> None:
        self._event_log = event_log
        self._single_flight = SingleFlight[FeedEvent | None]()

    def register(self, service: HandlerTable) -> None:
        """Register the handler of each operation."""
        service.add(PUBLISHED_BLOCK, self.block)
        service.add(PUBLISHED_NEURONS, self.neurons)
        service.add(PUBLISHED_CHANGES, self.changes)

    async def block(self, call: ServiceCall[ReplayParams]) -> CallResult:
        """Return the first published block after a block, or the newest one."""
        return await self._replay(call, str(BlockEventSubject()))

    async def neurons(self, call: ServiceCall[ReplayParams]) -> CallResult:
        """Return the first published neurons of a subnet after a block, or the newest ones."""
        return await self._replay(call, str(NeuronsEventSubject(call.subnet)))

    async def changes(self, call: ServiceCall[ReplayParams]) -> CallResult:
        """Return the first published changes of a subnet after a block, or the newest ones."""
        return await self._replay(call, str(ChangesEventSubject(call.subnet)))

    async def _replay(self, call: ServiceCall[ReplayParams], subject: str) -> CallResult:
        after = call.params.after
        event = await self._single_flight.get(
            (subject, after), lambda: self._find_event(subject, after)
        )
        if event is None:
            what = "Nothing" if after is None else f"Nothing newer than block {after}"
            raise FailureError(ErrorCode.NOT_FOUND, f"{what} is published on {subject}.")
        sent_headers = {headers.LOST_BLOCKS: str(len(event.lost))} if event.lost else {}
        if event.genesis:
            sent_headers[headers.GENESIS] = event.genesis
        return CallResult(event.body, event.block, sent_headers)

    async def _find_event(self, subject: str, after: BlockNumber | None) -> FeedEvent | None:
        return await self._event_log(subject, after)
