"""HTTP responses of reads, with cache validation by block hash.

The entity tag is the block's hash plus the content coding: a strong tag identifies the exact bytes,
which differ between codings. The tag of changes contains the block from which they start. Reads of
the latest block must be revalidated, which costs a 304 without a body while the block is unchanged.
Reads at a block number rarely change: only a reorg can replace one of the last blocks, so clients
may cache them for a minute.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final

from fastapi import Request, Response

from bridge.compression import MIN_COMPRESS_BYTES, CompressionCache, ContentCoding, preferred_coding
from pylon_client.contract import headers
from pylon_client.nats.nats_reply import Reply

NUMBERED_BLOCK_MAX_AGE_S: Final = 60

_ETAG_HEADERS: Final[Mapping[str, Any]] = {
    "ETag": {
        "description": "The hash of the block that was read, for `If-None-Match`.",
        "schema": {"type": "string"},
    },
    headers.HTTP_BLOCK_NUMBER: {
        "description": "The number of the block that was read.",
        "schema": {"type": "integer"},
    },
}
SOURCE_DOCS: Final[Mapping[str, Any]] = {
    headers.HTTP_SOURCE: {
        "description": "Whether the bridge's memory or a worker served the read.",
        "schema": {"type": "string", "enum": [headers.SOURCE_MEMORY, headers.SOURCE_WORKER]},
    }
}
CONDITIONAL_DOCS: Final[Mapping[int | str, dict[str, Any]]] = {
    200: {"headers": {**_ETAG_HEADERS, **SOURCE_DOCS}},
    304: {
        "description": "`If-None-Match` names the block that would be read; there is no body",
        "headers": {**_ETAG_HEADERS, **SOURCE_DOCS},
    },
}
"""OpenAPI responses of reads with an entity tag."""
READ_DOCS: Final[Mapping[int | str, dict[str, Any]]] = {200: {"headers": SOURCE_DOCS}}
"""OpenAPI responses of other reads."""


class ResponseBuilder:
    """Builds HTTP responses from replies of workers."""

    def __init__(self) -> None:
        self._compressed = CompressionCache()

    def build(
        self,
        request: Request,
        reply: Reply,
        *,
        cache_key: Hashable,
        status: int,
        requested_block: int | None,
        since_block: int | None = None,
        is_private: bool,
        source: str | None = None,
    ) -> Response:
        """Return the response: the reply's body, plain or compressed, or 304 without a body.

        Args:
            request: the request, whose headers state the accepted codings and known entity tags.
            reply: reply of a worker, or of the memory.
            cache_key: identifies the query, so that equal bodies are compressed once.
            status: HTTP status of a successful response.
            requested_block: block number of the request; None for the latest block.
            since_block: block number from which a request for changes starts; it is part of the
                entity tag.
            is_private: whether the request required a token.
            source: of a read, whether memory or a worker served it.
        """
        response_headers: dict[str, str] = {} if source is None else {headers.HTTP_SOURCE: source}
        block_hash = reply.headers.get(headers.BLOCK_HASH)
        if block_hash is None or request.method != "GET":
            response_headers["Cache-Control"] = "no-store"
            return _json_response(reply.body, status, response_headers)
        number = reply.headers.get(headers.BLOCK_NUMBER, "")
        validity = (
            f"max-age={NUMBERED_BLOCK_MAX_AGE_S}" if number == str(requested_block) else "no-cache"
        )
        response_headers |= {
            headers.HTTP_BLOCK_NUMBER: number,
            "Cache-Control": f"{'private' if is_private else 'public'}, {validity}",
            "Vary": "Accept-Encoding",
        }
        coding = None
        if len(reply.body) >= MIN_COMPRESS_BYTES:
            coding = preferred_coding(", ".join(request.headers.getlist("Accept-Encoding")))
        version = block_hash if since_block is None else f"{block_hash}-since-{since_block}"
        response_headers["ETag"] = _etag(version, coding)
        if _etag_matches(", ".join(request.headers.getlist("If-None-Match")), version):
            return Response(status_code=304, headers=response_headers)
        if coding is None:
            return _json_response(reply.body, status, response_headers)
        response_headers["Content-Encoding"] = coding
        body = self._compressed.get((cache_key, block_hash), reply.body, coding)
        return _json_response(body, status, response_headers)


def _etag(version: str, coding: ContentCoding | None) -> str:
    return f'"{version}"' if coding is None else f'"{version}-{coding}"'


def _etag_matches(if_none_match: str, version: str) -> bool:
    """Return whether the caller has this version of the response, in any coding.

    `If-None-Match` requires weak comparison.
    """
    requested_tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    current_tags = {_etag(version, coding) for coding in (None, *ContentCoding)}
    return "*" in requested_tags or bool(requested_tags & current_tags)


def _json_response(body: bytes, status: int, http_headers: Mapping[str, str]) -> Response:
    return Response(body, status_code=status, headers=http_headers, media_type="application/json")
