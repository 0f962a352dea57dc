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
        block_hash = reply.headers.get(headers.BLOCK_HASH)
        if block_hash is None or request.method != "GET":
            no_store = {**_source_header(source), "Cache-Control": "no-store"}
            return _json_response(reply.body, status, no_store)
        accepted = ", ".join(request.headers.getlist("Accept-Encoding"))
        known = ", ".join(request.headers.getlist("If-None-Match"))
        version = block_hash if since_block is None else f"{block_hash}-since-{since_block}"
        return self.build_conditional(
            reply,
            version=version,
            cache_key=cache_key,
            status=status,
            requested_block=requested_block,
            is_private=is_private,
            source=source,
            coding=coding_of(reply.body, accepted),
            is_known=etag_matches(known, version),
        )

    def build_conditional(
        self,
        reply: Reply,
        *,
        version: str,
        cache_key: Hashable,
        status: int,
        requested_block: int | None,
        is_private: bool,
        source: str | None,
        coding: ContentCoding | None,
        is_known: bool,
    ) -> Response:
        """Return the response of a read of one block; see `build`.

        Args:
            reply: reply with the headers of its block.
            version: identifies the body of this query in the entity tag.
            cache_key: as of `build`.
            status: as of `build`.
            requested_block: as of `build`.
            is_private: as of `build`.
            source: as of `build`.
            coding: content coding of the body.
            is_known: whether the caller has this version.
        """
        block_hash = reply.headers[headers.BLOCK_HASH]
        number = reply.headers.get(headers.BLOCK_NUMBER, "")
        validity = (
            f"max-age={NUMBERED_BLOCK_MAX_AGE_S}" if number == str(requested_block) else "no-cache"
        )
        response_headers = {
            **_source_header(source),
            headers.HTTP_BLOCK_NUMBER: number,
            "Cache-Control": f"{'private' if is_private else 'public'}, {validity}",
            "Vary": "Accept-Encoding",
            "ETag": _etag(version, coding),
        }
        if is_known:
            return Response(status_code=304, headers=response_headers)
        if coding is None:
            return _json_response(reply.body, status, response_headers)
        response_headers["Content-Encoding"] = coding
        body = self._compressed.get((cache_key, block_hash), reply.body, coding)
        return _json_response(body, status, response_headers)


def coding_of(body: bytes, accept_encoding: str) -> ContentCoding | None:
    """Return the content coding of a body for an `Accept-Encoding` header; None: uncompressed."""
    return preferred_coding(accept_encoding) if len(body) >= MIN_COMPRESS_BYTES else None


def _source_header(source: str | None) -> dict[str, str]:
    return {} if source is None else {headers.HTTP_SOURCE: source}


def _etag(version: str, coding: ContentCoding | None) -> str:
    return f'"{version}"' if coding is None else f'"{version}-{coding}"'


def etag_matches(if_none_match: str, version: str) -> bool:
    """Return whether the caller has this version of the response, in any coding.

    `If-None-Match` requires weak comparison.
    """
    requested_tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    current_tags = {_etag(version, coding) for coding in (None, *ContentCoding)}
    return "*" in requested_tags or bool(requested_tags & current_tags)


def _json_response(body: bytes, status: int, http_headers: Mapping[str, str]) -> Response:
    return Response(body, status_code=status, headers=http_headers, media_type="application/json")
