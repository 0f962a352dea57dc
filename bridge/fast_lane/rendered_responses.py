"""Responses of hot reads, rendered once per snapshot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from fastapi import Response

from bridge.memory.memory_reads import MemoryReads, MemoryReply
from bridge.response_builder import ResponseBuilder, coding_of, etag_matches
from bridge.routes.service_routes import Health
from pylon_client.contract import headers, json_codec
from pylon_client.contract.operation import NoParams
from pylon_client.contract.types import NetUid

if TYPE_CHECKING:
    from bridge.compression import ContentCoding

_NO_PARAMS: Final = json_codec.encode(NoParams())
MAX_REMEMBERED_REQUESTS: Final = 64
"""Maximum number of pairs of `Accept-Encoding` and `If-None-Match` remembered per snapshot."""


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """A response without the headers that differ between requests.

    Attributes:
        status: HTTP status.
        head: lines of the response's own headers.
        body: the body.
    """

    status: int
    head: bytes
    body: bytes


class HotResource(Protocol):
    """A resource whose responses are rendered in advance."""

    def rendered(
        self, accept_encoding: bytes | None, if_none_match: bytes | None
    ) -> RenderedResponse | None:
        """Return the current response to GET; None if another part of the bridge must create it."""
        ...


def render(response: Response) -> RenderedResponse:
    """Return a response of the framework in rendered form."""
    return RenderedResponse(
        response.status_code, header_lines(response.raw_headers), bytes(response.body)
    )


def header_lines(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return headers as HTTP/1.1 sends them."""
    return b"".join([b"%b: %b\r\n" % pair for pair in pairs])


class HotRead:
    """A read of the newest block, whose replies the bridge holds.

    Args:
        memory: the replies that the bridge holds.
        builder: creates the responses, as for all other requests.
        operation: name of the operation.
        netuid: subnet of the read; None for the chain.
        is_private: whether the request required a token.
        count_read: called for each response.
    """

    def __init__(
        self,
        memory: MemoryReads,
        builder: ResponseBuilder,
        *,
        operation: str,
        netuid: NetUid | None,
        is_private: bool,
        count_read: Callable[[], None],
    ) -> None:
        self._memory = memory
        self._builder = builder
        self._operation = operation
        self._netuid = netuid
        self._is_private = is_private
        self._count_read = count_read
        self._reply: MemoryReply | None = None
        self._by_request: dict[tuple[bytes | None, bytes | None], RenderedResponse] = {}
        self._by_variant: dict[tuple[ContentCoding | None, bool], RenderedResponse] = {}

    def rendered(
        self, accept_encoding: bytes | None, if_none_match: bytes | None
    ) -> RenderedResponse | None:
        """Return the current response; None if no fresh reply is held."""
        reply = self._memory.latest(self._operation, self._netuid)
        if reply is None:
            return None
        if reply is not self._reply:
            self._reply, self._by_request, self._by_variant = reply, {}, {}
        key = (accept_encoding, if_none_match)
        rendered = self._by_request.get(key)
        if rendered is None:
            rendered = self._variant(reply, *key)
            if len(self._by_request) < MAX_REMEMBERED_REQUESTS:
                self._by_request[key] = rendered
        self._count_read()
        return rendered

    def _variant(
        self, reply: MemoryReply, accept_encoding: bytes | None, if_none_match: bytes | None
    ) -> RenderedResponse:
        coding = coding_of(reply.body, (accept_encoding or b"").decode("latin-1"))
        is_known = etag_matches((if_none_match or b"").decode("latin-1"), reply.block.hash)
        rendered = self._by_variant.get((coding, is_known))
        if rendered is None:
            response = self._builder.build_conditional(
                reply.as_reply(),
                version=reply.block.hash,
                cache_key=(self._operation, self._netuid, _NO_PARAMS),
                status=200,
                requested_block=None,
                is_private=self._is_private,
                source=headers.SOURCE_MEMORY,
                coding=coding,
                is_known=is_known,
            )
            rendered = self._by_variant[coding, is_known] = render(response)
        return rendered


class HotHealth:
    """The health of the bridge.

    Args:
        is_connected: returns whether the connection to NATS is established.
    """

    def __init__(self, is_connected: Callable[[], bool]) -> None:
        self._is_connected = is_connected
        self._responses = {
            state: render(
                Response(
                    json_codec.encode(Health(nats_connected=state)), media_type="application/json"
                )
            )
            for state in (False, True)
        }

    def rendered(
        self,
        accept_encoding: bytes | None,  # noqa: ARG002 -- as of all hot resources
        if_none_match: bytes | None,  # noqa: ARG002 -- the same
    ) -> RenderedResponse:
        """Return the current response."""
        return self._responses[self._is_connected()]
