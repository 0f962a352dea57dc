"""Routes of event streams: blocks, neurons and their changes as server-sent events."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, WithJsonSchema

from bridge.auth import Authenticator
from bridge.connection import NatsPort
from bridge.event_buffers import EventBuffer, EventBuffers
from bridge.problems import problem_docs
from bridge.request_tracing import request_id
from bridge.routes.canonical_path import require_canonical_path
from bridge.sse_docs import CLOSING_DOCS, MISSED_DOCS, event_docs
from bridge.sse_response import StreamCounts, StreamResponse, stream_frames
from pylon.common.admission import Admission
from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import BlockInfo, NeuronChanges, SubnetNeurons
from pylon_client.contract.operations import API_PREFIX, NoParams
from pylon_client.contract.reads import RECENT_NEURONS
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    NeuronsEventSubject,
    OpenSubject,
)
from pylon_client.contract.types import (
    MAX_BLOCK_NUMBER,
    BlockNumber,
    BlockNumberField,
    NetUid,
    NetUidField,
)

BLOCK_STREAM_PATH: Final = f"{API_PREFIX}/block/stream"
NEURONS_STREAM_PATH: Final = f"{API_PREFIX}/subnet/{{netuid}}/neurons/stream"
CHANGES_STREAM_PATH: Final = f"{API_PREFIX}/subnet/{{netuid}}/neurons/changes/stream"
TRACKED_CHECK_TIMEOUT_S: Final = 10.0
BLOCK_EVENT: Final = "block"
NEURONS_EVENT: Final = "neurons"
CHANGES_EVENT: Final = "changes"

_CODES: Final = (
    ErrorCode.INVALID,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.OVERLOADED,
    ErrorCode.NATS_UNAVAILABLE,
)
_DESCRIPTION: Final = (
    "The newest event first, then each new one: the event's `id` is the block number, its data the "
    "body of the matching read. `Last-Event-ID` resumes after that block. An event `missed` "
    "reports that events in between are no longer available. An event `closing` announces that "
    "this server stops: reconnect to another one."
)

LastEventId = Annotated[
    BlockNumberField | None,
    # A header may be absent, but it cannot be null.
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_BLOCK_NUMBER}),
    Header(
        alias="Last-Event-ID",
        description="Id of the last received event; the stream resumes after it.",
    ),
]


def add_stream_routes(
    router: APIRouter,
    authenticator: Authenticator,
    nats: NatsPort,
    limit: Admission,
    buffers: EventBuffers,
    counts: StreamCounts,
) -> None:
    """Add the routes of event streams, with their own concurrency limit."""

    async def admit(request: Request) -> AsyncGenerator[None]:
        # FastAPI resumes here when the whole stream has been sent.
        with limit.admit(authenticator.limit_key(request)):
            yield

    def open_stream(channel: EventBuffer, last_id: BlockNumber | None) -> StreamResponse:
        return StreamResponse(
            stream_frames(channel, last_id, counts),
            counts,
            is_private=authenticator.open_access_needs_token,
        )

    async def stream_blocks(last_id: LastEventId = None) -> StreamResponse:
        subject = str(BlockEventSubject())
        channel = buffers.get(subject)
        if channel is None:
            _require_connected(nats)
            channel = buffers.open(subject, BLOCK_EVENT)
        return open_stream(channel, last_id)

    async def open_subnet_stream(
        request: Request,
        subject: NeuronsEventSubject | ChangesEventSubject,
        event: str,
        last_id: BlockNumber | None,
    ) -> StreamResponse:
        require_canonical_path(request, {"netuid": subject.netuid})
        channel = buffers.get(str(subject))
        if channel is None:
            _require_connected(nats)
            await _require_tracked(nats, subject.netuid, request)
            channel = buffers.open(str(subject), event)
        return open_stream(channel, last_id)

    async def stream_neurons(
        request: Request, netuid: NetUidField, last_id: LastEventId = None
    ) -> StreamResponse:
        return await open_subnet_stream(
            request, NeuronsEventSubject(netuid), NEURONS_EVENT, last_id
        )

    async def stream_changes(
        request: Request, netuid: NetUidField, last_id: LastEventId = None
    ) -> StreamResponse:
        return await open_subnet_stream(
            request, ChangesEventSubject(netuid), CHANGES_EVENT, last_id
        )

    def add(
        path: str,
        endpoint: Callable[..., Awaitable[StreamResponse]],
        event: str,
        model: type[BaseModel],
        summary: str,
        *codes: ErrorCode,
    ) -> None:
        router.add_api_route(
            path,
            endpoint,
            status_code=200,
            response_class=Response,  # adds nothing to the documentation
            response_model=None,
            responses=stream_docs(
                *_CODES, *codes, event_models={event: model}, has_missed_event=True
            ),
            dependencies=[*authenticator.open_access_dependencies, Depends(admit)],
            tags=["streams"],
            summary=summary,
            description=_DESCRIPTION,
            operation_id=f"open_{event}_stream",
        )

    add(BLOCK_STREAM_PATH, stream_blocks, BLOCK_EVENT, BlockInfo, "Every new block, as it comes")
    add(
        NEURONS_STREAM_PATH,
        stream_neurons,
        NEURONS_EVENT,
        SubnetNeurons,
        "All neurons of a tracked subnet, at every block",
        ErrorCode.NOT_FOUND,
    )
    add(
        CHANGES_STREAM_PATH,
        stream_changes,
        CHANGES_EVENT,
        NeuronChanges,
        "The changes of a tracked subnet's neurons, from one block to the next",
        ErrorCode.NOT_FOUND,
    )


def _require_connected(nats: NatsPort) -> None:
    if not nats.is_connected:
        raise FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no connection to NATS.")


async def _require_tracked(nats: NatsPort, netuid: NetUid, request: Request) -> None:
    """Raise unless the subnet is tracked; workers know this, so their error is returned."""
    try:
        await nats.request(
            str(OpenSubject(netuid, RECENT_NEURONS.name)),
            json_codec.encode(NoParams()),
            headers={headers.REQUEST_ID: request_id(request)},
            timeout_s=TRACKED_CHECK_TIMEOUT_S,
        )
    except FailureError as error:
        # A tracked subnet may have no recent snapshot; the stream waits for the next one.
        if error.code is not ErrorCode.NO_RECENT_SNAPSHOT:
            raise


def stream_docs(
    *codes: ErrorCode, event_models: Mapping[str, type[BaseModel]], has_missed_event: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a stream.

    Args:
        codes: error codes that it may return instead of a stream.
        event_models: models of the data of its events, by event name.
        has_missed_event: whether its events have ids, and events `missed` report gaps.
    """
    values = [
        event_docs(
            name, {"$ref": f"#/components/schemas/{model.__name__}"}, with_id=has_missed_event
        )
        for name, model in event_models.items()
    ]
    # The schema describes a single event.
    events = {"oneOf": [*values, *([MISSED_DOCS] if has_missed_event else []), CLOSING_DOCS]}
    return {
        **problem_docs(*codes),
        200: {
            "description": "Events, until the client disconnects",
            "content": {"text/event-stream": {"schema": events}},
        },
    }
