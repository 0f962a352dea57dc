"""The routes that stream: blocks and neurons as server-sent events."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request

from bridge.auth import Gatekeeper
from bridge.link import NatsPort
from bridge.problems import problem_docs
from bridge.routes.plain import require_plain
from bridge.slots import RequestSlots
from bridge.sse import StreamCounts, StreamResponse, frames, value_frame
from bridge.streams import Channel, Channels
from bridge.tracing import request_id
from pylon_client.contract import headers, wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import API_PREFIX, NoParams
from pylon_client.contract.reads import RECENT_NEURONS
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject, OpenSubject
from pylon_client.contract.types import BLOCK_NUMBER_MAX, BlockNumber, NetUid, NetUidField

BLOCK_STREAM_PATH: Final = f"{API_PREFIX}/block/stream"
NEURONS_STREAM_PATH: Final = f"{API_PREFIX}/subnet/{{netuid}}/neurons/stream"
TRACKED_WITHIN_S: Final = 10.0

_CODES: Final = (
    ErrorCode.INVALID,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.OVERLOADED,
    ErrorCode.NATS_UNAVAILABLE,
)
_DESCRIPTION: Final = (
    "The newest value first, then each as it comes: the event's `id` is the block's number, its "
    "data the body of the matching read. `Last-Event-ID` resumes after that block. An event "
    "`missed` tells that values in between cannot be had, one named `closing` that this server "
    "stops and another should be asked."
)

LastEventId = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=BLOCK_NUMBER_MAX,
        description="The id of the last event that was received, to go on after it.",
    ),
]


def stream_routes(
    gatekeeper: Gatekeeper,
    nats: NatsPort,
    slots: RequestSlots,
    channels: Channels,
    counts: StreamCounts,
) -> APIRouter:
    """The streams, each of which takes a slot among the streams: reads never wait for them."""
    router = APIRouter(tags=["streams"])

    async def slot() -> AsyncGenerator[None]:
        # The framework comes back here when the whole stream is sent.
        with slots.one("Too many streams are open: come again, or ask another server."):
            yield

    def answer(channel: Channel, last_id: int | None) -> StreamResponse:
        after = None if last_id is None else BlockNumber(last_id)
        return StreamResponse(
            frames(channel, after, counts),
            counts,
            is_private=gatekeeper.open_access_needs_token,
        )

    async def stream_blocks(last_id: LastEventId = None) -> StreamResponse:
        subject = str(BlockEventSubject())
        channel = channels.get(subject)
        if channel is None:
            _require_connected(nats)
            channel = channels.open(subject, value_frame("block"))
        return answer(channel, last_id)

    async def stream_neurons(
        request: Request, netuid: NetUidField, last_id: LastEventId = None
    ) -> StreamResponse:
        require_plain(request, {"netuid": netuid})
        subject = str(NeuronsEventSubject(netuid))
        channel = channels.get(subject)
        if channel is None:
            _require_connected(nats)
            await _require_tracked(nats, netuid, request)
            channel = channels.open(subject, value_frame("neurons"))
        return answer(channel, last_id)

    streams: list[tuple[str, Callable[..., Awaitable[StreamResponse]], str, str]] = [
        (BLOCK_STREAM_PATH, stream_blocks, "open_block_stream", "Every new block, as it comes"),
        (
            NEURONS_STREAM_PATH,
            stream_neurons,
            "open_neurons_stream",
            "All neurons of a tracked subnet, at every block",
        ),
    ]
    for path, endpoint, operation_id, summary in streams:
        codes = _CODES if endpoint is stream_blocks else (*_CODES, ErrorCode.NOT_FOUND)
        router.add_api_route(
            path,
            endpoint,
            status_code=200,
            response_class=StreamResponse,
            response_model=None,
            responses=stream_docs(*codes),
            dependencies=[*gatekeeper.open_access_guards, Depends(slot)],
            summary=summary,
            description=_DESCRIPTION,
            operation_id=operation_id,
        )
    return router


def _require_connected(nats: NatsPort) -> None:
    if not nats.is_connected:
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")


async def _require_tracked(nats: NatsPort, netuid: NetUid, request: Request) -> None:
    """Refuse a subnet whose neurons nobody publishes, in the words of a worker, who knows."""
    try:
        await nats.request(
            str(OpenSubject(netuid, RECENT_NEURONS.name)),
            wire.encode(NoParams()),
            headers={headers.REQUEST_ID: request_id(request)},
            timeout_s=TRACKED_WITHIN_S,
        )
    except FailureError as error:
        # A tracked subnet may have no value that is new enough; a stream may wait for the next.
        if error.code is not ErrorCode.NO_RECENT_SNAPSHOT:
            raise


def stream_docs(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """What the documentation says of a stream's answers, with the failures that it may have."""
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        **problem_docs(*codes),
        200: {"description": "Events, until the caller leaves", "content": stream},
    }
