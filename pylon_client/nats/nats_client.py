"""The NATS library's client with stricter guarantees."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, PING_PROTO, Client, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header

from pylon_client.nats.cancellation import preserve_cancellation
from pylon_client.nats.inboxes import InboxIds
from pylon_client.nats.message_parts import PartJoiner
from pylon_client.nats.protocol_parser import MessageParser


@dataclass
class ReceivedMsg(Msg):
    """A message with the time when this process received it.

    Attributes:
        received_at_s: time of receipt, by `time.monotonic`.
    """

    received_at_s: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        """Return the seconds since receipt."""
        return time.monotonic() - self.received_at_s


class NoTlsError(nats.errors.Error):
    """A `tls://` server does not offer TLS."""


class PylonNatsClient(Client):
    """The library's client with stricter guarantees.

    - `flush` and `drain` return after the server has processed everything sent before. The library
      queues its output but sends the PING of a flush past that queue. The PONG may then arrive
      before the server has processed a SUB, so that a first request finds no responder, or an
      UNSUB, so that a drained subscription loses messages.
    - A PONG that arrives after its flush has timed out is ignored. The library would stop reading.
    - A request returns the whole reply, also one in several parts. The library returns the first
      message.
    - A cancellation that arrives together with a reply or a PONG is not lost. Loops over requests,
      such as the library's JetStream calls, therefore end.
    - A `tls://` server that does not offer TLS gets no credentials. The library would send it the
      password in clear text.
    - Malformed messages are delivered: invalid UTF-8 in a subject is replaced, a malformed header
      block counts as empty.
    - `renew_inbox` replaces an inbox that the server denies.
    - All inboxes have random names. The library's names are predictable.
    - A failed attempt to connect leaves no open socket. The library opens the next one beside it.
    """

    msg_class = ReceivedMsg

    def __init__(self) -> None:
        super().__init__()
        self._ps = MessageParser(self)
        self._nuid = InboxIds()
        self._joiner = PartJoiner(self._is_reply_pending)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109 -- the library's own
        old_style: bool = False,  # noqa: FBT001, FBT002 -- the same
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Return the reply to a request, as the library's method does."""
        with preserve_cancellation():
            return await super().request(subject, payload, timeout, old_style, headers)  # pyright: ignore[reportUnknownMemberType] -- the library's headers are of anything

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:  # noqa: ASYNC109 -- the library's own
        """Return when the server has processed everything sent before."""
        with preserve_cancellation():
            await super().flush(timeout)

    async def drain_subscription(self, subscription: Subscription) -> None:
        """Receive no further messages, and process those that the server has already sent.

        The library's `unsubscribe` discards the latter, so that their senders wait in vain. Its
        `drain` leaves the subscription to be repeated after a reconnect if the connection is lost.

        Raises:
            nats.errors.Error: the connection was lost meanwhile; the subscription has ended.
        """
        try:
            await subscription.drain()
        finally:
            subscription._stop_processing()  # noqa: SLF001 -- there is no public method # pyright: ignore[reportPrivateUsage]
            self._remove_sub(subscription._id)  # noqa: SLF001 -- the same # pyright: ignore[reportPrivateUsage]

    async def renew_inbox(self, subject: str) -> None:
        """Use another inbox from the next request on, if `subject` is the current inbox.

        The server dropped the subscription of an inbox that it denies, but the library would go on
        sending requests whose replies cannot arrive.

        Args:
            subject: wildcard of the inbox, in lower case.
        """
        prefix = self._resp_sub_prefix  # pyright: ignore[reportUnknownMemberType] -- the library's buffer is of anything
        if not prefix or f"{prefix.decode()}*".lower() != subject:
            return
        self._resp_sub_prefix = None
        for subscription in tuple(self._subs.values()):  # pyright: ignore[reportUnknownMemberType] -- the library's table is of anything
            if subscription.subject.lower() == subject:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        if not self.is_connected:
            await super()._send_ping(future)  # pyright: ignore[reportUnknownMemberType] -- the library's futures are of anything
            return
        pong: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if future is not None:
            pong.add_done_callback(lambda _: future.done() or future.set_result(True))
        self._pongs.append(pong)  # pyright: ignore[reportUnknownMemberType] -- the same
        await self._send_command(PING_PROTO)
        await self._flush_pending()

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is not None:
            self._transport.close()
        await super()._connect_to_server(s)

    async def _process_info(
        self,
        info: dict[str, Any],
        initial_connection: bool = False,  # noqa: FBT001, FBT002 -- the library's own
    ) -> None:
        server = self._current_server
        wants_tls = server is not None and server.uri.scheme == "tls"
        if initial_connection and wants_tls and not info.get("tls_required"):
            raise NoTlsError
        await super()._process_info(info, initial_connection)  # pyright: ignore[reportUnknownMemberType] -- the library's information is of anything

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)  # pyright: ignore[reportUnknownMemberType] -- the library's parameter is of anything
        except (ValueError, LookupError):
            return None

    def _build_message(
        self,
        sid: int,
        subject: bytes,
        reply: bytes,
        data: bytes,
        headers: dict[str, str] | None,
    ) -> Msg:
        if headers and reply:
            # Status messages of the server have no reply subject. A publisher could add the status
            # header to a message, and a fetch would treat that message as its end.
            headers = {name: text for name, text in headers.items() if name != Header.STATUS}
        return super()._build_message(
            sid, _replace_invalid_utf8(subject), _replace_invalid_utf8(reply), data, headers
        )  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- the library returns nothing or a message

    async def _request_sub_callback(self, msg: Msg) -> None:
        whole = self._joiner.join(msg)
        if whole is not None:
            await super()._request_sub_callback(whole)

    def _is_reply_pending(self, inbox: str) -> bool:
        return inbox.rpartition(".")[2] in self._resp_map  # pyright: ignore[reportUnknownMemberType] -- the library's futures are of anything


def _replace_invalid_utf8(text: bytes) -> bytes:
    return text.decode(errors="replace").encode()
