"""Calls over NATS."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pydantic import BaseModel

from pylon_client.cached_value import CachedValue
from pylon_client.config import BaseConfig
from pylon_client.contract import headers, json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operation import Scope
from pylon_client.contract.reads import RECENT_NEURONS
from pylon_client.contract.subjects import (
    OPEN_USER,
    IdentitySubject,
    JobEventSubject,
    OpenSubject,
)
from pylon_client.contract.types import BlockNumber, IdentityName, JobId, NetUid
from pylon_client.contract.writes import GET_JOB, JobParams
from pylon_client.errors import (
    BasePylonException,
    PylonClosed,
    PylonMisconfigured,
    PylonRequestException,
    PylonTimeoutException,
    TimeoutReason,
    failure_exception,
)
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.events.job_event_queue import JobEventQueue
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_client.transport import OperationCall, StreamItem, StreamSpec, confirm_with

_DEADLINE_MARGIN_S: Final = 1.0
"""Seconds by which the connection's timeouts exceed those of this module.

The timeouts of this module end first: they know which step timed out."""


@dataclass(frozen=True, slots=True)
class _Credential:
    """The NATS user and its token; a user of None connects without credentials."""

    user: str | None = None
    token: str = field(default="", repr=False)


class NatsTransport:
    """Sends calls over one connection per credential, made on first use.

    Open access uses the NATS user `open` if an open-access token is configured, otherwise the
    identity, which may read everything that open access may, otherwise no credentials. If the
    service has no open-access token, it accepts any token, as over HTTP.

    Args:
        config: the addresses, the tokens and the timeouts.
    """

    def __init__(self, config: BaseConfig) -> None:
        self._config = config
        self._is_open = False
        self._connections: dict[_Credential, CachedValue[NatsConnection]] = {}

    async def open(self) -> None:
        """Open the transport; connections are made on first use."""
        self._is_open = True

    async def close(self) -> None:
        """Close all connections."""
        self._is_open = False
        connections = tuple(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(_close_connection(connection) for connection in connections))

    async def ask(self, call: OperationCall[BaseModel]) -> bytes:
        """Send one attempt of a call; see `Transport.ask`.

        Raises:
            BasePylonException: the attempt failed.
        """
        connection = await self._connection(self._credential(call.scope))
        timeout_s = self._config.timeout.read
        began = time.monotonic()
        try:
            reply = await connection.request(
                str(self._subject(call)),
                json_codec.encode(call.params),
                {headers.IDEMPOTENCY_KEY: call.idempotency_key} if call.idempotency_key else None,
                timeout_s=timeout_s,
            )
        except FailureError as error:
            if error.code is ErrorCode.NATS_UNAVAILABLE and not connection.is_connected:
                raise PylonRequestException(error.failure.detail) from error
            waited_s = time.monotonic() - began
            if error.code is ErrorCode.DEADLINE_EXCEEDED and waited_s >= timeout_s:
                raise PylonTimeoutException(TimeoutReason.READ, timeout_s) from error
            raise _to_exception(error) from error
        return reply.body

    async def confirm(self) -> None:
        """Return when a worker replies; see `Transport.confirm`."""
        await confirm_with(self.ask)

    @asynccontextmanager
    async def listen(
        self, stream: StreamSpec[BaseModel], after: BlockNumber | None
    ) -> AsyncGenerator[AsyncIterator[StreamItem]]:
        """Open a stream; see `Transport.listen`.

        It survives reconnects to NATS.

        Raises:
            BasePylonException: the stream cannot be opened.
        """
        if stream.netuid is not None:
            await self._require_tracked(stream.netuid)
        connection = await self._connection(self._credential(Scope.OPEN))
        event_log = event_log_via_worker(connection)
        feed = EventFeed(connection, [str(stream.subject)], event_log, after=after)
        async with contextlib.AsyncExitStack() as stack:
            with self._translate_errors():
                await stack.enter_async_context(feed)
            yield self._stream_items(feed)

    @asynccontextmanager
    async def listen_to_job(self, job_id: JobId) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open the stream of a job; see `Transport.listen_to_job`.

        Raises:
            BasePylonException: the stream cannot be opened.
        """
        name = self._identity()
        connection = await self._connection(self._credential(Scope.IDENTITY))
        events = JobEventQueue(connection, str(JobEventSubject(name, job_id)))
        async with contextlib.AsyncExitStack() as stack:
            with self._translate_errors():
                await stack.enter_async_context(events)
            yield self._job_bodies(
                events, OperationCall(GET_JOB, Scope.IDENTITY, None, JobParams(job_id=job_id))
            )

    async def _job_bodies(
        self, events: JobEventQueue, get_job: OperationCall[BaseModel]
    ) -> AsyncGenerator[bytes]:
        yield await self.ask(get_job)
        while True:
            with self._translate_errors():
                body = await events.get()
            # After a gap, the job itself contains all changes.
            yield await self.ask(get_job) if body is None else body

    async def _stream_items(self, feed: EventFeed) -> AsyncGenerator[StreamItem]:
        with self._translate_errors():
            async for event in feed:
                yield StreamItem(event.block.number, event.body, is_after_gap=bool(event.lost))

    @contextlib.contextmanager
    def _translate_errors(self) -> Generator[None]:
        try:
            yield
        except FailureError as error:
            if not self._is_open:
                raise PylonClosed("the client was closed during the stream") from None
            if error.code is ErrorCode.NATS_UNAVAILABLE:
                raise PylonRequestException(error.failure.detail) from error
            raise _to_exception(error) from error

    async def _require_tracked(self, netuid: NetUid) -> None:
        """Raise the failure of a worker if it does not track the subnet."""
        try:
            await self.ask(OperationCall(RECENT_NEURONS, Scope.OPEN, netuid))
        except BasePylonException as error:
            # A tracked subnet without a recent snapshot is fine: the stream waits for the next one.
            if error.code != ErrorCode.NO_RECENT_SNAPSHOT:
                raise

    def _subject(self, call: OperationCall[BaseModel]) -> OpenSubject | IdentitySubject:
        if call.scope is Scope.OPEN:
            return OpenSubject(call.netuid, call.operation.name)
        return IdentitySubject(self._identity(), call.operation.name)

    def _identity(self) -> IdentityName:
        name = self._config.identity
        if name is None:
            raise PylonMisconfigured("no identity is configured")
        return name

    def _credential(self, scope: Scope) -> _Credential:
        config = self._config
        if scope is Scope.OPEN and config.open_access_token:
            return _Credential(OPEN_USER, config.open_access_token)
        return _Credential(config.identity_name, config.identity_token or "")

    async def _connection(self, credential: _Credential) -> NatsConnection:
        if not self._is_open:
            raise PylonClosed("the client is closed")
        if credential not in self._connections:
            self._connections[credential] = CachedValue(partial(self._connect, credential))
        shared = self._connections[credential]
        connection = await shared.get()
        if connection.closed.is_set():
            # A connection with rejected credentials does not reconnect.
            shared.invalidate(connection)
            connection = await shared.get()
        return connection

    async def _connect(self, credential: _Credential) -> NatsConnection:
        timeout_s = self._config.timeout.connect
        try:
            async with asyncio.timeout(timeout_s):
                return await self._connect_or_fall_back(credential)
        except TimeoutError as error:
            servers = ", ".join(self._config.urls)
            raise PylonTimeoutException(
                TimeoutReason.CONNECT, timeout_s, address=servers
            ) from error
        except FailureError as error:
            if error.code is ErrorCode.NATS_UNAVAILABLE:
                raise PylonRequestException(error.failure.detail) from error
            raise _to_exception(error) from error

    async def _connect_or_fall_back(self, credential: _Credential) -> NatsConnection:
        try:
            return await connect(self._options(credential))
        except FailureError as error:
            if error.code is ErrorCode.FORBIDDEN and credential.user == OPEN_USER:
                with contextlib.suppress(FailureError):
                    return await connect(self._options(_Credential()))
            raise

    def _options(self, credential: _Credential) -> ConnectionOptions:
        return ConnectionOptions(
            urls=self._config.urls,
            user=credential.user,
            password=credential.token,
            name="pylon-client",
            connect_timeout_s=self._config.timeout.connect + _DEADLINE_MARGIN_S,
        )


async def _close_connection(shared: CachedValue[NatsConnection]) -> None:
    connection = await shared.close()
    if connection is not None:
        await connection.close()


def _to_exception(error: FailureError) -> BasePylonException:
    failure = error.failure
    return failure_exception(
        failure.http_status,
        code=failure.name,
        detail=failure.detail,
        retryable=failure.retryable,
        retry_at_block=failure.retry_at_block,
        invalid=failure.extra,
    )
