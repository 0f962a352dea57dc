"""Answering whoever missed a published event: from the stream, one flight per question."""

from typing import TYPE_CHECKING, Final

from pylon.common.read_cache import SingleFlight
from pylon.rpc.calls import CallResult, ServiceCall
from pylon_client.contract import headers
from pylon_client.contract.event_replay import PUBLISHED_BLOCK, PUBLISHED_NEURONS, ReplayParams
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber
from pylon_client.events.stored_events import EventLogReader, FeedEvent

if TYPE_CHECKING:
    from pylon.rpc.request_server import Handler


class ReplayHandlers:
    """Answers from the event stream, so that who listens needs no access to JetStream.

    After a break all listeners ask the same at once: those that ask while the answer is looked
    for share it.

    Attributes:
        by_operation: the handler of each operation, by its name.
    """

    def __init__(self, event_log: EventLogReader) -> None:
        self._event_log = event_log
        self._single_flight = SingleFlight[FeedEvent | None]()
        self.by_operation: Final[dict[str, Handler]] = {
            PUBLISHED_BLOCK.name: self.block,
            PUBLISHED_NEURONS.name: self.neurons,
        }

    async def block(self, call: ServiceCall) -> CallResult:
        """The first published block after a block, or the newest one."""
        return await self._replay(call, str(BlockEventSubject()))

    async def neurons(self, call: ServiceCall) -> CallResult:
        """The first published neurons of a subnet after a block, or the newest ones."""
        if call.netuid is None:
            raise TypeError(f"{call.operation} is about a subnet")
        return await self._replay(call, str(NeuronsEventSubject(call.netuid)))

    async def _replay(self, call: ServiceCall, subject: str) -> CallResult:
        if not isinstance(call.params, ReplayParams):
            raise TypeError(f"{call.operation} takes After, not {type(call.params).__name__}")
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
