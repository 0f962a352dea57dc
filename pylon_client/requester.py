"""One attempt of one call: what the asynchronous and the synchronous client have in common."""

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
"""For how long a stream goes on without any sign of Pylon before that is raised."""


class AsyncSend(Protocol):
    """Sends a call, as often as the configuration says, and returns its reply."""

    async def __call__(self, call: OperationCall[ReplyT]) -> ReplyT:
        """The reply to a call."""
        ...


class Send(Protocol):
    """The same, and waits for it."""

    def __call__(self, call: OperationCall[ReplyT]) -> ReplyT:
        """The reply to a call."""
        ...


class AsyncListenToJob(Protocol):
    """Makes what receives the changes of a job."""

    def __call__(self, job_id: JobId) -> AsyncJobUpdates:
        """Return the changes of a job; nothing is sent yet."""
        ...


class ListenToJob(Protocol):
    """The same, and waits for each change."""

    def __call__(self, job_id: JobId) -> JobUpdates:
        """Return the changes of a job; nothing is sent yet."""
        ...


class AsyncOpenStream(Protocol):
    """Follows a stream, over as many connections as it takes."""

    def __call__(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> AsyncGenerator[ReplyT]:
        """The values of a stream."""
        ...


class OpenStream(Protocol):
    """The same, and waits for each value."""

    def __call__(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> Generator[ReplyT]:
        """The values of a stream."""
        ...


class Requester:
    """A transport that is open or closed, and knows which calls the configuration allows.

    Args:
        config: where Pylon is and who asks.
        transport: what carries the calls; None takes what the address says.
    """

    def __init__(self, config: BaseConfig, transport: Transport | None = None) -> None:
        self._config = config
        self._transport = transport
        self._open_transport: Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent."""
        return self._open_transport is not None

    async def open(self) -> None:
        """Make ready to send; it may be open already."""
        if self._open_transport is None:
            transport = self._transport or transport_for(self._config)
            await transport.open()
            self._open_transport = transport

    async def close(self) -> None:
        """Close every connection; it may be closed already."""
        transport, self._open_transport = self._open_transport, None
        if transport is not None:
            await transport.close()

    async def attempt(self, call: OperationCall[ReplyT]) -> ReplyT:
        """The reply to a call that is sent once.

        Raises:
            PylonClosed: the client is not open.
            PylonMisconfigured: the call needs an identity, and none is configured.
            BasePylonException: Pylon did not answer, or answered with a failure.
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
        """Within the block, the values of a stream; see `Transport.listen`.

        Raises:
            PylonClosed: the client is not open.
        """
        return self._require_open().listen(stream, after)

    def job_updates(self, job_id: JobId) -> JobUpdateSubscription:
        """Return what receives the changes of a job; nothing is sent yet."""
        return JobUpdateSubscription(lambda: self._require_open().listen_to_job(job_id))

    async def confirm(self) -> None:
        """Return when a worker of Pylon answers; see `Transport.confirm`.

        Raises:
            PylonClosed: the client is not open.
            BasePylonException: none does.
        """
        await self._require_open().confirm()

    def _require_open(self) -> Transport:
        if self._open_transport is None:
            raise PylonClosed("the client is not open: use it in a `with` block, or call open()")
        return self._open_transport


def require_config(config: BaseConfig, kind: type[BaseConfig], client: str) -> None:
    """Refuse the configuration of the other client, whose retries would not work here.

    Raises:
        PylonMisconfigured: it is not of the kind that this client needs.
    """
    if not isinstance(config, kind):
        raise PylonMisconfigured(
            f"{client} needs a configuration of type {kind.__name__}, not {type(config).__name__}"
        )


def transport_for(config: BaseConfig) -> Transport:
    """The transport that an address asks for."""
    if config.speaks_nats:
        from pylon_client.nats.nats_transport import NatsTransport  # noqa: PLC0415 - imported if used

        return NatsTransport(config)
    from pylon_client.http.http_transport import HttpTransport  # noqa: PLC0415 - imported if used

    return HttpTransport(config)
