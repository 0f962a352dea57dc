"""Calls over HTTP."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from string import Formatter
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from pylon_client.cached_value import CachedValue
from pylon_client.config import BaseConfig
from pylon_client.contract import headers
from pylon_client.contract.operation import API_PREFIX, Scope
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, NetUid
from pylon_client.contract.writes import GET_JOB, JobParams
from pylon_client.errors import (
    PylonClosed,
    PylonMisconfigured,
    PylonNetuidMismatch,
    PylonRequestException,
    PylonResponseException,
)
from pylon_client.http.http_errors import exception_from_response, translate_http_errors
from pylon_client.http.http_log import install_filter, suppress_httpx_log
from pylon_client.http.sse_parser import parse_sse
from pylon_client.network_errors import network_error_reason
from pylon_client.transport import OperationCall, StreamItem, StreamSpec, confirm_with

logger = logging.getLogger(__name__)

IDENTITIES_PATH: Final = f"{API_PREFIX}/identities"
STREAM_READ_TIMEOUT_S: Final = 60.0
"""Seconds without a byte after which a stream counts as broken; the bridge sends one every 15 s."""
MAX_STREAM_RETRY_S: Final = 10.0
"""Maximum seconds to wait before reconnecting, whatever the server asks for."""
MAX_JOB_STREAMS: Final = 16
"""Maximum number of concurrent job streams; further jobs are polled.

Each stream uses one of the pool's 100 connections."""
_BODILESS_METHODS: Final = frozenset({"GET", "DELETE"})


class _Identities(BaseModel):
    identities: dict[IdentityName, NetUid]


class HttpTransport:
    """Sends calls over one pool of HTTP connections.

    Identity URLs contain the netuid, which only the service knows. The client reads it once, and
    again when the service reports that it has changed.

    Args:
        config: the address, the tokens and the timeouts.
        http_transport: replaces the network in tests.
    """

    def __init__(
        self, config: BaseConfig, *, http_transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._config = config
        self._http_transport = http_transport
        self._http: httpx.AsyncClient | None = None
        self._timeout = httpx.Timeout(**config.timeout.model_dump())
        self._netuid = CachedValue(self._fetch_identity_netuid)
        self._job_streams = 0

    async def open(self) -> None:
        """Open the transport; connections are made on first use."""
        install_filter()
        timeout_s = self._config.timeout.read
        self._http = httpx.AsyncClient(
            base_url=self._config.urls[0],
            headers={headers.HTTP_TIMEOUT: str(timeout_s), "Accept": "application/json"},
            timeout=self._timeout,
            verify=_tls_context(self._address),
            transport=self._http_transport,
        )

    async def close(self) -> None:
        """Close all connections of the pool."""
        http, self._http = self._http, None
        await self._netuid.close()
        if http is not None:
            await http.aclose()

    async def ask(self, call: OperationCall[BaseModel]) -> bytes:
        """Send one attempt of a call; see `Transport.ask`.

        Raises:
            BasePylonException: the attempt failed.
        """
        if call.scope is Scope.OPEN:
            return await self._send(call, call.netuid)
        netuid = await self._netuid.get()
        try:
            return await self._send(call, netuid)
        except PylonNetuidMismatch:
            # A concurrent call may have read the new netuid already.
            self._netuid.invalidate(netuid)
            return await self._send(call, await self._netuid.get())

    async def confirm(self) -> None:
        """Return when a worker replies; see `Transport.confirm`."""
        await confirm_with(self.ask)

    @asynccontextmanager
    async def listen(
        self, stream: StreamSpec[BaseModel], after: BlockNumber | None
    ) -> AsyncGenerator[AsyncIterator[StreamItem]]:
        """Open a stream; see `Transport.listen`.

        Raises:
            BasePylonException: the stream cannot be opened.
        """
        sent_headers = self._authorization(Scope.OPEN)
        if after is not None:
            sent_headers["Last-Event-ID"] = str(after)
        async with self._stream(stream.path, sent_headers) as response:
            yield self._stream_items(response)

    @asynccontextmanager
    async def listen_to_job(self, job_id: JobId) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open the stream of a job; see `Transport.listen_to_job`.

        Raises:
            BasePylonException: the stream cannot be opened.
        """
        if self._job_streams >= MAX_JOB_STREAMS:
            raise PylonRequestException(f"{MAX_JOB_STREAMS} jobs are streamed already")
        self._job_streams += 1
        try:
            async with self._job_stream(job_id) as response:
                yield self._job_bodies(response)
        finally:
            self._job_streams -= 1

    @asynccontextmanager
    async def _job_stream(self, job_id: JobId) -> AsyncGenerator[httpx.Response]:
        netuid = await self._netuid.get()
        path, _ = self._path(
            OperationCall(GET_JOB, Scope.IDENTITY, params=JobParams(job_id=job_id)), netuid
        )
        try:
            async with self._stream(
                f"{path}/stream", self._authorization(Scope.IDENTITY)
            ) as response:
                yield response
        except PylonNetuidMismatch:
            self._netuid.invalidate(netuid)
            raise

    @asynccontextmanager
    async def _stream(
        self, path: str, sent_headers: dict[str, str]
    ) -> AsyncGenerator[httpx.Response]:
        http = self._require_open()
        timeouts = {**self._config.timeout.model_dump(), "read": STREAM_READ_TIMEOUT_S}
        request = http.build_request(
            "GET",
            path,
            headers={"Accept": "text/event-stream", **sent_headers},
            timeout=httpx.Timeout(**timeouts),
        )
        async with translate_http_errors(self._config.timeout, self._address):
            with suppress_httpx_log():
                response = await http.send(request, stream=True)
        logger.debug("GET %s: %d", path, response.status_code)
        try:
            if not response.is_success:
                async with translate_http_errors(self._config.timeout, self._address):
                    await response.aread()
                raise exception_from_response(response)
            yield response
        finally:
            await response.aclose()

    async def _job_bodies(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        with self._translate_errors():
            async for event in parse_sse(response.aiter_bytes()):
                if event.kind == "job":
                    yield event.data

    async def _stream_items(self, response: httpx.Response) -> AsyncGenerator[StreamItem]:
        is_after_gap = False
        retry_s = 0.0
        with self._translate_errors():
            async for event in parse_sse(response.aiter_bytes()):
                if event.retry_s is not None:
                    retry_s = min(event.retry_s, MAX_STREAM_RETRY_S)
                if event.kind == "missed":
                    is_after_gap = True
                elif event.id is not None:
                    number = BlockNumber(int(event.id))
                    yield StreamItem(number, event.data, is_after_gap=is_after_gap)
                    is_after_gap = False
        # A bridge that stops gives each client another delay, which spreads the reconnects.
        await asyncio.sleep(retry_s)
        raise PylonRequestException("Pylon ended the stream; reconnect")

    @contextmanager
    def _translate_errors(self) -> Generator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.StreamError) as error:
            if self._http is None:
                raise PylonClosed("the client was closed during the stream") from error
            reason = network_error_reason(error) or str(error) or type(error).__name__
            raise PylonRequestException(
                f"The stream from {self._address} broke: {reason}"
            ) from error

    async def _fetch_identity_netuid(self) -> NetUid:
        body = await self._request("GET", IDENTITIES_PATH)
        try:
            netuids = _Identities.model_validate_json(body).identities
        except ValidationError as error:
            raise PylonResponseException("Pylon's list of identities is not valid") from error
        name = self._config.identity
        if name is None or name not in netuids:
            raise PylonMisconfigured(f"Pylon has no identity {name!r}")
        return netuids[name]

    async def _send(self, call: OperationCall[BaseModel], netuid: NetUid | None) -> bytes:
        operation = call.operation
        path, rest = self._path(call, netuid)
        content = (
            {"params": rest or None} if operation.method in _BODILESS_METHODS else {"json": rest}
        )
        sent_headers = self._authorization(call.scope)
        if call.idempotency_key is not None:
            sent_headers[headers.IDEMPOTENCY_KEY] = call.idempotency_key
        return await self._request(operation.method, path, headers=sent_headers, **content)

    def _path(
        self, call: OperationCall[BaseModel], netuid: NetUid | None
    ) -> tuple[str, dict[str, Any]]:
        """Return the path of a call, and its parameters that are not in the path."""
        values: dict[str, Any] = call.params.model_dump(mode="json")
        template = call.operation.rest_path(call.scope)
        in_path = {field for _, field, _, _ in Formatter().parse(template) if field}
        path_values = {**values, "netuid": netuid, "identity_name": self._config.identity_name}
        path = template.format(**{key: quote(str(path_values[key]), safe="") for key in in_path})
        return path, {key: value for key, value in values.items() if key not in in_path}

    def _authorization(self, scope: Scope) -> dict[str, str]:
        config = self._config
        # Open access accepts the token of an identity as well.
        token = (scope is Scope.OPEN and config.open_access_token) or config.identity_token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _request(self, method: str, path: str, **content: Any) -> bytes:
        http = self._require_open()
        async with translate_http_errors(self._config.timeout, self._address):
            with suppress_httpx_log():
                response = await http.request(method, path, **content)
        logger.debug("%s %s: %d", method, path, response.status_code)
        if response.is_success:
            return response.content
        raise exception_from_response(response)

    def _require_open(self) -> httpx.AsyncClient:
        if self._http is None:
            raise PylonClosed("the client is closed")
        return self._http

    @property
    def _address(self) -> str:
        return self._config.urls[0]


def _tls_context(url: str) -> ssl.SSLContext | bool:
    # Loading the trusted certificates takes as long as many requests, and plain HTTP has no use for
    # them. Without any, the context accepts no server.
    return True if urlsplit(url).scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
