"""One attempt of one call: what the asynchronous and the synchronous client have in common."""

from typing import Protocol

from pylon_client.config import BaseConfig
from pylon_client.contract.operations import Scope
from pylon_client.errors import PylonClosed, PylonMisconfigured
from pylon_client.transport.base import Call, ReplyT, Transport


class AsyncSend(Protocol):
    """Sends a call, as often as the configuration says, and returns its reply."""

    async def __call__(self, call: Call[ReplyT]) -> ReplyT:
        """The reply to a call."""
        ...


class Send(Protocol):
    """The same, and waits for it."""

    def __call__(self, call: Call[ReplyT]) -> ReplyT:
        """The reply to a call."""
        ...


class Channel:
    """A transport that is open or closed, and knows which calls the configuration allows.

    Args:
        config: where Pylon is and who asks.
        transport: what carries the calls; None takes what the address says.
    """

    def __init__(self, config: BaseConfig, transport: Transport | None = None) -> None:
        self._config = config
        self._transport = transport
        self._opened: Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls can be sent."""
        return self._opened is not None

    async def open(self) -> None:
        """Make ready to send; it may be open already."""
        if self._opened is None:
            transport = self._transport or transport_for(self._config)
            await transport.open()
            self._opened = transport

    async def close(self) -> None:
        """Close every connection; it may be closed already."""
        transport, self._opened = self._opened, None
        if transport is not None:
            await transport.close()

    async def attempt(self, call: Call[ReplyT]) -> ReplyT:
        """The reply to a call that is sent once.

        Raises:
            PylonClosed: the client is not open.
            PylonMisconfigured: the call needs an identity, and none is configured.
            BasePylonException: Pylon did not answer, or answered with a failure.
        """
        if self._opened is None:
            raise PylonClosed("the client is not open: use it in a `with` block, or call open()")
        if call.scope is Scope.IDENTITY and self._config.identity_name is None:
            raise PylonMisconfigured(
                "client.identity needs identity_name and identity_token in the configuration"
            )
        return call.read(await self._opened.ask(call))


def transport_for(config: BaseConfig) -> Transport:
    """The transport that an address asks for."""
    if config.speaks_nats:
        from pylon_client.transport.nats import NatsTransport  # noqa: PLC0415 - imported if used

        return NatsTransport(config)
    from pylon_client.transport.http import HttpTransport  # noqa: PLC0415 - imported if used

    return HttpTransport(config)
