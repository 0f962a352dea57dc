"""Consumes messages of a work queue one at a time, and acknowledges each after its handler.

After a restart of the server a pull subscription receives nothing: the client subscribes again, but
does not repeat the request for messages. Therefore every fetch is short, and the durable consumer
is created or checked before the first fetch, after each reconnect and after each failed fetch.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import nats.errors
from nats.aio.msg import Msg
from nats.js import api
from nats.js.client import JetStreamContext

from pylon.jetstream.error_codes import UnreadableReplyError, readable_replies, require_type
from pylon_client.contract.topology import StreamPlan
from pylon_client.log_limit import LogLimit, error_origin
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

FETCH_TIMEOUT_S: Final = 2.0
"""Timeout of one fetch, in seconds: the longest time until a stop is noticed or a lost request is
repeated."""
ACK_WAIT_S: Final = 15.0
"""JetStream `ack_wait`: seconds without a sign of progress after which a message is redelivered."""
HEARTBEATS_PER_ACK_WAIT: Final = 3
"""Number of progress signals within `ACK_WAIT_S`."""
RETRY_DELAY_S: Final = 0.5
"""Seconds until the next attempt after a failed fetch."""
API_TIMEOUT_S: Final = 5.0
"""Timeout of a request to the JetStream API, in seconds."""
MAX_ACK_PENDING: Final = 64
"""JetStream `max_ack_pending`: messages in progress or delayed by a NAK."""
_ACK_PREFIX: Final = "$JS.ACK."
"""Reply subjects of the messages that JetStream delivers."""
HANDLER_ERROR_DELAY_S: Final = 5.0
"""Seconds after which a message is redelivered when its handler raised an unexpected error."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Acknowledge the message: it is processed."""


@dataclass(frozen=True, slots=True)
class Nak:
    """Redeliver the message after `delay_s` seconds; later messages are delivered meanwhile."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Term:
    """Never redeliver the message: no worker can process it. The handler has logged the reason."""


Acknowledgement = Ack | Nak | Term
MessageHandler = Callable[[bytes], Awaitable[Acknowledgement]]


class _PullSubscription(Protocol):
    async def fetch(self, batch: int = 1, timeout: float | None = 5) -> list[Msg]: ...  # noqa: ASYNC109 -- the library's own
    async def unsubscribe(self) -> None: ...


class Consumer:
    """Processes the messages of one durable consumer, one at a time in each worker.

    Args:
        connection: as the user `worker`.
        plan: plan of the work queue's stream.
        name: name of the durable consumer, which all workers share.
        subject: filter of the messages.
        handler: processes the body of a message. It may be called again with the same one, by this
            worker or another, and after a crash at the same time.
        on_idle: called after a fetch without a message.
        on_recreated: called after the durable consumer was created again: the stream may be a new
            one, without the messages of the old one.
        ack_wait_s: seconds without a progress signal after which a message is redelivered.
    """

    def __init__(
        self,
        connection: NatsConnection,
        plan: StreamPlan,
        *,
        name: str,
        subject: str,
        handler: MessageHandler,
        on_idle: Callable[[], Awaitable[None]] | None = None,
        on_recreated: Callable[[], Awaitable[None]] | None = None,
        ack_wait_s: float = ACK_WAIT_S,
    ) -> None:
        self._connection = connection
        self._context = JetStreamContext(connection.nats, timeout=API_TIMEOUT_S)
        self._stream = plan.name
        self._name = name
        self._subject = subject
        self._handler = handler
        self._on_idle = on_idle
        self._on_recreated = on_recreated
        self._created_at: datetime | None = None
        self._log_limit = LogLimit()
        self._ack_wait_s = ack_wait_s
        self._subscription: _PullSubscription | None = None
        self._stale_subscription: _PullSubscription | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Process messages until `stop`; retry during outages.

        If it is cancelled, the message in progress is redelivered at once.
        """
        remove_listener = self._connection.on_gap(self._mark_stale)
        try:
            while not self._stopping.is_set():
                try:
                    await self._fetch_one()
                except (nats.errors.Error, OSError) as error:
                    logger.debug("%s: %s", self._name, type(error).__name__)
                    self._mark_stale()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RETRY_DELAY_S):
                            await self._stopping.wait()
        finally:
            remove_listener()
            await self._unsubscribe()

    def stop(self) -> None:
        """Stop fetching; `run` returns after the message in progress."""
        self._stopping.set()

    async def is_idle(self) -> bool:
        """Return whether no message is queued or in progress in any worker.

        Raises:
            nats.errors.Error: the server did not answer.
        """
        with readable_replies():
            info = await self._context.consumer_info(self._stream, self._name)
            return not info.num_pending and not info.num_ack_pending

    def _mark_stale(self) -> None:
        self._stale_subscription, self._subscription = self._subscription, None

    async def _fetch_one(self) -> None:
        pulling = self._subscription
        if pulling is None:
            await self._unsubscribe()
            pulling = self._subscription = await self._subscribe()
        try:
            with readable_replies():
                (message,) = await pulling.fetch(1, timeout=FETCH_TIMEOUT_S)
        except nats.errors.TimeoutError:
            if self._on_idle is not None and not self._stopping.is_set():
                await self._on_idle()
            return
        if not message.reply.startswith(_ACK_PREFIX):
            raise UnreadableReplyError("a message without an acknowledgement subject")
        await self._handle(message)

    async def _subscribe(self) -> _PullSubscription:
        config = api.ConsumerConfig(
            durable_name=self._name,
            filter_subject=self._subject,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait_s,
            # The job store counts attempts. With a limit here, a message would stay in the queue
            # without ever being delivered.
            max_deliver=-1,
            max_ack_pending=MAX_ACK_PENDING,
        )
        with readable_replies():
            await self._context.add_consumer(self._stream, config)  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open
            # After a restart of the server, the reply to the request above contains another time
            # than that of the consumer.
            info = await self._context.consumer_info(self._stream, self._name)
        require_type(info.created, datetime, "a consumer without a time")
        made_before, self._created_at = self._created_at, info.created
        if self._on_recreated is not None and made_before not in {None, info.created}:
            await self._on_recreated()
        return await self._context.pull_subscribe_bind(consumer=self._name, stream=self._stream)

    async def _unsubscribe(self) -> None:
        for each in (self._subscription, self._stale_subscription):
            if each is not None:
                with contextlib.suppress(nats.errors.Error, OSError):
                    await each.unsubscribe()
        self._subscription = self._stale_subscription = None

    async def _handle(self, message: Msg) -> None:
        heartbeat = asyncio.create_task(self._heartbeat(message))
        try:
            acknowledgement = await self._handler(message.data)
        except asyncio.CancelledError:
            await _send_ack(message.nak())
            raise
        except Exception as error:
            if self._log_limit.is_due(error_origin(error)):  # it is redelivered, and may fail again
                logger.exception("%s: the handler of a message failed", self._name)
            acknowledgement = Nak(HANDLER_ERROR_DELAY_S)
        finally:
            heartbeat.cancel()
            await asyncio.wait({heartbeat})
        match acknowledgement:
            case Ack():
                # If the ack is lost, the message is redelivered and its handler finds it done.
                await _send_ack(message.ack())
            case Nak(delay_s):
                await _send_ack(message.nak(delay=delay_s))
            case Term():
                await _send_ack(message.term())

    async def _heartbeat(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self._ack_wait_s / HEARTBEATS_PER_ACK_WAIT)
            await _send_ack(message.in_progress())


async def _send_ack(ack: Awaitable[None]) -> None:
    with contextlib.suppress(nats.errors.Error, OSError):
        await ack
