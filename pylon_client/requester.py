"""Single attempts of calls, shared by the asynchronous and the synchronous client."""

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from pydantic import BaseModel

from pylon_client.config import BaseConfig
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import BlockNumber, JobId
from pylon_client.errors import PylonClosed, PylonMisconfigured
from pylon_client.events.job_updates import AsyncJobUpdates, JobUpdates, JobUpdateSubscription
from pylon_client.transport import OperationCall, ReplyT, StreamItem, StreamSpec, Transport

STREAM_GIVE_UP_AFTER_S: Final = 600.0
"""Seconds without any response after which a stream raises."""


def give_up_limit_s(give_up_after_s: float, patience_s: float | None) -> float:
    """Return the limit of a stream; warn if its deprecated name is used.

    Args:
        give_up_after_s: the limit, in seconds.
        patience_s: the limit under its deprecated name; None if it is not given.
    """
    if patience_s is None:
        return give_up_after_s
    warnings.warn("patience_s is deprecated: use give_up_after_s", DeprecationWarning, stacklevel=3)
    return patience_s


class AsyncSend(Protocol):
    """Sends a call with the configured retries."""

    async def __call__(self, call: OperationCall[ReplyT]) -> ReplyT:
        """Return the reply to a call."""
        ...


class Send(Protocol):
    """Sends a call with the configured retries, and blocks until it ends."""

    def __call__(self, call: OperationCall[ReplyT]) -> ReplyT:
        """Return the reply to a call."""
        ...


class AsyncListenToJob(Protocol):
    """Creates subscriptions to jobs."""

    def __call__(self, job_id: JobId) -> AsyncJobUpdates:
        """Return the updates of a job; the subscription starts with the first use."""
        ...


class ListenToJob(Protocol):
    """Creates blocking subscriptions to jobs."""

    def __call__(self, job_id: JobId) -> JobUpdates:
        """Return the updates of a job; the subscription starts with the first use."""
        ...


class AsyncOpenStream(Protocol):
    """Opens streams that resume after a lost connection."""

    def __call__(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> AsyncGenerator[ReplyT]:
        """Yield the events of a stream."""
        ...


class OpenStream(Protocol):
    """Opens blocking streams that resume after a lost connection."""

    def __call__(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> Generator[ReplyT]:
        """Yield the events of a stream."""
        ...


class Requester:
    """Sends calls over a transport, and checks that the configuration allows them.

    Args:
        config: the address, the credentials and the timeouts.
        transport: carries the calls; None chooses HTTP or NATS by the address.
    """

    def __init__(self, config: BaseConfig, transport: Transport | None = None) -> None:
        self._config = config
        self._transport = transport
        self._open_transport: Transport | None = None

    @property
    def is_open(self) -> bool:
        """Return whether calls can be sent."""
        return self._open_transport is not None

    async def open(self) -> None:
        """Open the transport; a second call does nothing."""
        if self._open_transport is None:
            transport = self._transport or transport_for(self._config)
            await transport.open()
            self._open_transport = transport

    async def close(self) -> None:
        """Close all connections; a second call does nothing."""
        transport, self._open_transport = self._open_transport, None
        if transport is not None:
            await transport.close()

    async def attempt(self, call: OperationCall[ReplyT]) -> ReplyT:
        """Send a call once, and return its reply.

        Raises:
            PylonClosed: the client is not open.
            PylonMisconfigured: the call needs an identity, but the configuration has no identity.
            BasePylonException: the call failed.
        """
        transport = self._require_open()
        if call.scope is Scope.IDENTITY and self._config.identity_name is None:
            raise PylonMisconfigured(
                "client.identity needs identity_name and identity_token in the configuration"
            )
        return call.decode_reply(await transport.ask(call))

    def listen(
        self, stream: StreamSpec[BaseModel], after: BlockNumber | None
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamItem]]:
        """Open a stream within the block; see `Transport.listen`.

        Raises:
            PylonClosed: the client is not open.
        """
        return self._require_open().listen(stream, after)

    def job_updates(self, job_id: JobId) -> JobUpdateSubscription:
        """Return the updates of a job; the subscription starts with the first use."""
        return JobUpdateSubscription(lambda: self._require_open().listen_to_job(job_id))

    async def confirm(self) -> None:
        """Return when a worker replies; see `Transport.confirm`.

        Raises:
            PylonClosed: the client is not open.
            BasePylonException: no worker replies.
        """
        await self._require_open().confirm()

    def _require_open(self) -> Transport:
        if self._open_transport is None:
            raise PylonClosed("the client is not open: use it in a `with` block, or call open()")
        return self._open_transport


def require_config(config: BaseConfig, kind: type[BaseConfig], client: str) -> None:
    """Reject the configuration of the other client, whose retries would not work.

    Args:
        config: the configuration to check.
        kind: the required class.
        client: the name of the client, for the error.

    Raises:
        PylonMisconfigured: the configuration is not of the required class.
    """
    if not isinstance(config, kind):
        raise PylonMisconfigured(
            f"{client} needs a configuration of type {kind.__name__}, not {type(config).__name__}"
        )


def transport_for(config: BaseConfig) -> Transport:
    """Return the transport for the address of a configuration."""
    if config.speaks_nats:
        from pylon_client.transports.nats_transport import NatsTransport  # noqa: PLC0415 - imported if used

        return NatsTransport(config)
    from pylon_client.transports.http_transport import HttpTransport  # noqa: PLC0415 - imported if used

    return HttpTransport(config)
