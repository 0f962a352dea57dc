"""The NATS library's client, with promises more: order, parts, cancelling, messages, inboxes."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, PING_PROTO, Client
from nats.aio.msg import Msg
from nats.js.api import Header

from pylon_client.nats.cancellation import preserve_cancellation
from pylon_client.nats.inboxes import InboxIds
from pylon_client.nats.message_parts import PartJoiner
from pylon_client.nats.protocol_parser import MessageParser


@dataclass
class ReceivedMsg(Msg):
    """A message and when this process received it.

    Attributes:
        received_at_s: by `time.monotonic`.
    """

    received_at_s: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        """Return the seconds since it was received."""
        return time.monotonic() - self.received_at_s


class NoTlsError(nats.errors.Error):
    """A server that was to speak TLS offers none."""


class PylonNatsClient(Client):
    """A client whose `flush` and `drain` return after the server has seen what was sent before.

    The library queues what it sends, but writes the PING of a flush past that queue: the answer
    may then come before the server has seen a SUB, so that a first request finds nobody, or an
    UNSUB, so that a drained subscription loses what is still delivered.

    A request is answered with the whole reply, in however many parts it comes: the library takes
    the first message for all of it. And a cancellation that comes with the answer, to a request or
    a flush, is not lost, so that no loop over requests, which are what all calls of JetStream are,
    goes on after its end.

    A `tls://` server that offers no TLS is told nothing: the library would send it the password in
    the clear, to whoever stands between.

    A message that no library would send is still a message: where its subject is no text, what
    cannot be read of it is replaced; a block of headers that cannot be read counts as none.

    An inbox that the server refuses can be given up for another.

    Every inbox has a random name: that of the connection's requests, with another random part for
    each request, and those of subscriptions. The library's own names can be predicted.
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
        """The answer to a request, as the library gives it."""
        with preserve_cancellation():
            return await super().request(subject, payload, timeout, old_style, headers)  # pyright: ignore[reportUnknownMemberType] -- the library's headers are of anything

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:  # noqa: ASYNC109 -- the library's own
        """Return when the server has seen what was sent before, as the library does."""
        with preserve_cancellation():
            await super().flush(timeout)

    async def renew_inbox(self, subject: str) -> None:
        """Take another inbox for the next request, if this one, in lower case, is of the last.

        A server that refuses the inbox has forgotten it too; the library would go on sending
        requests whose answers nobody hears.
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
        self._pongs.append(future or asyncio.get_running_loop().create_future())  # pyright: ignore[reportUnknownMemberType] -- the same
        await self._send_command(PING_PROTO)
        await self._flush_pending()

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
            # The server's own words on a request want no answer. Whoever publishes may put the
            # same header into a message, and a fetch would take it for the end of itself.
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
