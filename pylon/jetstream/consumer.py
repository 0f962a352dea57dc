"""Taking messages from a work queue one by one, until each is dealt with.

A pull subscription that outlives its server looks alive and gets nothing: a reconnect sends the
subscription again, but not the request for messages. So every fetch is short, and the consumer on
the server is looked after before the first fetch, after each reconnect and whenever it is missed.
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
"""How long one fetch waits; at most so long a stop waits for it, and a lost request is missed."""
ACK_WAIT_S: Final = 15.0
"""A message whose taker gives no sign of life for this long is given to another."""
HEARTBEATS_PER_ACK_WAIT: Final = 3
"""How many signs of life there are within `ACK_WAIT_S`."""
RETRY_DELAY_S: Final = 0.5
API_TIMEOUT_S: Final = 5.0
MAX_ACK_PENDING: Final = 64
"""So many messages may be in hand or put off before those behind them wait."""
_ACK_PREFIX: Final = "$JS.ACK."
"""Reply subjects of the messages that JetStream delivers."""
HANDLER_ERROR_DELAY_S: Final = 5.0
"""After a handler failed in an unforeseen way, its message comes again after this long."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The message is dealt with, and can be forgotten."""


@dataclass(frozen=True, slots=True)
class Nak:
    """The message is to come again, in `delay_s` seconds; those behind it go ahead."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Term:
    """Nobody could ever deal with the message; the log says why."""


Acknowledgement = Ack | Nak | Term
MessageHandler = Callable[[bytes], Awaitable[Acknowledgement]]


class _PullSubscription(Protocol):
    async def fetch(self, batch: int = 1, timeout: float | None = 5) -> list[Msg]: ...  # noqa: ASYNC109 -- the library's own
    async def unsubscribe(self) -> None: ...


class Consumer:
    """Takes the messages of one durable consumer, one at a time in each worker.

    Args:
        connection: as the user `worker`.
        plan: of the work queue's stream.
        name: of the durable consumer, shared by all workers.
        subject: which messages it takes.
        handler: deals with a message's body; it may be called again with the same one, by this
            worker or another, after a crash also at the same time.
        on_idle: called after a fetch that found nothing, by whoever has nothing in hand.
        on_recreated: called after the durable consumer was made again: the stream may be another one,
            without the messages of the one before.
        ack_wait_s: how long a worker may be silent about the message that it has.
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
        """Take messages until `stop`; outages are waited out.

        When it is cancelled, what is in hand is handed back.
        """
        forget = self._connection.on_gap(self._mark_stale)
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
            forget()
            await self._unsubscribe()

    def stop(self) -> None:
        """Take no further message; `run` ends when what is in hand is dealt with."""
        self._stopping.set()

    async def is_idle(self) -> bool:
        """Whether no message waits and none is in any worker's hands.

        Raises:
            nats.errors.Error: the server did not say.
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
            raise UnreadableReplyError("a message without a place in the queue")
        await self._handle(message)

    async def _subscribe(self) -> _PullSubscription:
        config = api.ConsumerConfig(
            durable_name=self._name,
            filter_subject=self._subject,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait_s,
            # The ledger counts attempts. A limit here would leave a message in the queue that
            # nobody ever gets.
            max_deliver=-1,
            max_ack_pending=MAX_ACK_PENDING,
        )
        with readable_replies():
            await self._context.add_consumer(self._stream, config)  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open
            # After a restart of the server, its answer to the above has another time than the
            # consumer.
            info = await self._context.consumer_info(self._stream, self._name)
        require_type(info.created, datetime, "a consumer without a time")
        made_before, self._created_at = self._created_at, info.created
        if self._on_recreated is not None and made_before not in {None, info.created}:
            await self._on_recreated()
        return await self._context.pull_subscribe_bind(consumer=self._name, stream=self._stream)

    async def _unsubscribe(self) -> None:
        for held in (self._subscription, self._stale_subscription):
            if held is not None:
                with contextlib.suppress(nats.errors.Error, OSError):
                    await held.unsubscribe()
        self._subscription = self._stale_subscription = None

    async def _handle(self, message: Msg) -> None:
        beating = asyncio.create_task(self._heartbeat(message))
        try:
            verdict = await self._handler(message.data)
        except asyncio.CancelledError:
            await _send_ack(message.nak())
            raise
        except Exception as error:
            if self._log_limit.is_due(error_origin(error)):  # it comes again, and fails again
                logger.exception("%s: a message could not be dealt with", self._name)
            verdict = Nak(HANDLER_ERROR_DELAY_S)
        finally:
            beating.cancel()
            await asyncio.wait({beating})
        match verdict:
            case Ack():
                # Where this is lost the message comes again, and is found to be done.
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
