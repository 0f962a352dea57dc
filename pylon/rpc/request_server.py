"""Serving requests: a bounded number at once, each answered, none lost when the worker stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import nats.errors
from nats.aio.msg import Msg

from pylon.common.admission import OPEN_CALLER, Admission, Place
from pylon.common.logs import note, trace_id
from pylon.rpc.calls import Answer, Call, caller_of, may_be_answered, read_call
from pylon.rpc.discovery import Discovery
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.subjects import (
    ALL_IDENTITIES,
    ALL_OPEN,
    ALL_REPLAYS,
    CANCELLATIONS,
    CONTRACT_VERSION,
    READER_USER,
    cancellation,
)
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S, QUEUE_GROUP
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.log_limit import LogLimit, origin_of
from pylon_client.nats.message_parts import cut, part_header
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import Connection
from pylon_client.nats.nats_errors import Denied

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

logger = logging.getLogger(__name__)

SERVICE_ERROR_MAX_CHARS: Final = 300
PENDING_MAX_REQUESTS: Final = 4096
"""Delivered requests of a subscription that may wait for the loop; more are dropped.

They only pile up in a flood. What waits then delays the requests that come after it."""
EARLY_CANCELLATIONS_MAX: Final = 4096
"""Maximum number of cancellations that are kept for requests that have not been taken yet."""
CANCEL_ID_MAX_BYTES: Final = 64
REQUESTS: Final = (ALL_OPEN, ALL_IDENTITIES, ALL_REPLAYS)

Handler = Callable[[Call], Awaitable[Answer | bytes]]
"""Answers a call, with the bare body where it is of no block; raises failures as FailureError."""


@dataclass(slots=True)
class ServiceCounts:
    """What a service has turned away since it was made.

    Attributes:
        refused: requests dropped unanswered, since the answer would not go to who may ask.
        overloaded: requests turned away since their caller had too many in progress.
        unsent: answers that could not be sent.
        cancelled: requests that were ended since their sender stopped waiting.
    """

    refused: int = 0
    overloaded: int = 0
    unsent: int = 0
    cancelled: int = 0


class Service:
    """Answers the requests of its queue group with one handler per operation.

    Args:
        connection: over which requests come; its owner closes it, after `drain`.
        handlers: what answers each operation, by the operation's name.
        identities: the configured identities and the subnet of each.
        max_requests: maximum number of requests in progress, beside those that wait for the chain
            or for a job; each identity and open access have a share of it.
        subjects: of the requests that it answers.
        default_timeout_s: for how long a caller waits that names no deadline.

    Attributes:
        counts: what was turned away.
        discovery: what was answered, per operation and scope.
        refused: set when NATS does not deliver requests here; `refusal` is then what to raise.
    """

    def __init__(
        self,
        connection: Connection,
        handlers: Mapping[str, Handler],
        *,
        identities: Mapping[IdentityName, NetUid],
        max_requests: int,
        subjects: Sequence[str] = REQUESTS,
        default_timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.counts: Final = ServiceCounts()
        self.discovery: Final = Discovery()
        self.refused: Final = asyncio.Event()
        self.refusal: FailureError | None = None
        self._connection = connection
        self._handlers = handlers
        self._identities = identities
        self._admission = Admission(max_requests, (OPEN_CALLER, READER_USER, *identities))
        self._subjects = tuple(subjects)
        self._default_timeout_s = default_timeout_s
        self._subscriptions: list[Subscription] = []
        self._forget_denials: Callable[[], None] = connection.on_denial(self._on_denial)
        self._in_hand: set[asyncio.Task[None]] = set()
        self._by_cancel_id: dict[str, asyncio.Task[None]] = {}
        # Requests and cancellations come by different subscriptions, in no order.
        self._cancelled_early: dict[str, None] = {}
        self._cancelled: set[asyncio.Task[None]] = set()
        self._log_limit = LogLimit()

    @property
    def is_serving(self) -> bool:
        """Whether new requests come here."""
        return bool(self._subscriptions)

    @property
    def in_hand(self) -> int:
        """How many requests are being answered right now."""
        return len(self._in_hand)

    @property
    def parked(self) -> int:
        """How many of them wait for the chain or for a job."""
        return self._admission.parked

    async def start(self) -> None:
        """Begin to serve; on return, NATS delivers requests here.

        Raises:
            FailureError: FORBIDDEN where NATS refuses to.
        """
        subscribe = self._connection.subscribe
        self._subscriptions = [
            *[await self._receive(subject) for subject in self._subjects],
            *[await subscribe(subject, self._cancel) for subject in CANCELLATIONS],
            *[await subscribe(subject, self._discover) for subject in self.discovery.subjects],
        ]
        await self._connection.nats.flush()
        if self.refusal is not None:
            raise self.refusal

    async def add(self, subjects: Iterable[str]) -> Callable[[], Awaitable[None]]:
        """Answer the requests on further subjects too, until the returned function is called.

        Raises:
            nats.errors.Error: NATS takes no subscriptions now.
        """
        added = [await self._receive(subject) for subject in subjects]
        self._subscriptions += added

        async def remove() -> None:
            for held in added:
                self._subscriptions.remove(held)
                await held.unsubscribe()

        return remove

    async def _receive(self, subject: str) -> "Subscription":
        return await self._connection.subscribe(
            subject, self._take, queue=QUEUE_GROUP, pending_max_msgs=PENDING_MAX_REQUESTS
        )

    async def drain(self, timeout_s: float) -> None:
        """Take no new request, answer those in hand, and return when the answers are sent.

        What is not answered within `timeout_s` is given up and answered with SHUTTING_DOWN.
        """
        try:
            async with asyncio.timeout(timeout_s):
                # Other workers get what comes from now on; what was delivered is still taken.
                await asyncio.gather(*(held.drain() for held in self._subscriptions))
                self._subscriptions.clear()
                while self._in_hand:
                    await asyncio.wait(self._in_hand)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            logger.warning("Giving up %d requests in hand: %s", self.in_hand, type(error).__name__)
        finally:
            self._forget_denials()
            self._subscriptions.clear()
            await self._give_up()

    async def _give_up(self) -> None:
        given_up = tuple(self._in_hand)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        if self._connection.is_connected:
            await self._connection.nats.flush()

    def _on_denial(self, denied: Denied, failure: FailureError) -> None:
        if any(denied.forbids_hearing(subject) for subject in self._subjects):
            self.refusal = failure
            self.refused.set()

    async def _take(self, message: Msg) -> None:
        if message.subject == cancellation(message.subject):
            return  # every worker receives it elsewhere
        if not may_be_answered(message.subject, message.reply):
            self._refuse(message)
            return
        cancel_id = (message.headers or {}).get(wire_headers.CANCEL_ID)
        if cancel_id and cancel_id in self._cancelled_early:
            del self._cancelled_early[cancel_id]
            self.counts.cancelled += 1
            return
        try:
            place = self._admission.admit(caller_of(message.subject, self._identities))
        except FailureError as error:
            self.counts.overloaded += 1
            await self._send_failure(message, error.failure)
            return
        task = asyncio.create_task(self._serve(message, place))
        # Also of a task that is cancelled before it has run.
        task.add_done_callback(lambda _: place.release())
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)
        if cancel_id:
            self._by_cancel_id[cancel_id] = task
            task.add_done_callback(lambda _: self._by_cancel_id.pop(cancel_id, None))
        # Let it begin before the next message is taken: of a burst, those that wait are parked.
        await asyncio.sleep(0)

    async def _cancel(self, message: Msg) -> None:
        """End a request whose sender does not wait for it any more."""
        cancel_id = message.data[: CANCEL_ID_MAX_BYTES + 1].decode(errors="replace")
        task = self._by_cancel_id.get(cancel_id)
        if task is not None:
            self.counts.cancelled += 1
            self._cancelled.add(task)
            task.add_done_callback(self._cancelled.discard)
            task.cancel()
        elif len(message.data) <= CANCEL_ID_MAX_BYTES:
            # It may also be the request of another worker, or one that has been answered.
            self._cancelled_early[cancel_id] = None
            if len(self._cancelled_early) > EARLY_CANCELLATIONS_MAX:
                del self._cancelled_early[next(iter(self._cancelled_early))]

    def _refuse(self, message: Msg) -> None:
        self.counts.refused += 1
        # At 1, 2, 4, 8 and so on: whoever may ask must not be able to fill the log.
        if self.counts.refused.bit_count() == 1:
            logger.warning(
                "Refused %d requests so far whose reply goes elsewhere, the last one on %r",
                self.counts.refused,
                message.subject,
            )

    async def _serve(self, message: Msg, place: Place) -> None:
        begun_ns = time.monotonic_ns()
        call: Call | None = None
        error = ""
        try:
            call = read_call(
                message.subject,
                message.headers or {},
                message.data,
                identities=self._identities,
                default_timeout_s=self._default_timeout_s,
                waited_s=message.waited_s if isinstance(message, ReceivedMsg) else 0.0,
                place=place,
            )
            note(
                request_id=call.request_id,
                trace_id=trace_id((message.headers or {}).get(wire_headers.TRACE_PARENT, "")),
                identity=call.identity,
                netuid=call.netuid,
            )
            answer = await self._answer(call)
            await self._send_answer(message, answer)
        except FailureError as failed:
            error = str(failed)
            self.counts.overloaded += failed.code is ErrorCode.OVERLOADED
            await self._send_failure(message, failed.failure)
        except asyncio.CancelledError:
            if asyncio.current_task() in self._cancelled:
                error = ErrorCode.CANCELLED
                raise
            error = ErrorCode.SHUTTING_DOWN
            await self._send_failure(
                message,
                FailureError(ErrorCode.SHUTTING_DOWN, "The worker is stopping.").failure,
            )
            raise
        finally:
            if call is not None:
                counts = self.discovery.endpoints[call.scope, call.operation]
                counts.add(time.monotonic_ns() - begun_ns, error)

    async def _answer(self, call: Call) -> Answer:
        handler = self._handlers.get(call.operation)
        if handler is None:
            raise FailureError(
                ErrorCode.NOT_FOUND, f"This worker does not serve {call.operation!r}."
            )
        scope = asyncio.timeout(call.timeout_s)
        try:
            async with scope:
                found = await handler(call)
        except FailureError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and scope.expired():
                raise FailureError(
                    ErrorCode.DEADLINE_EXCEEDED, "The answer was not ready in the time given."
                ) from None
            # What went wrong inside is for the log; a caller learns only where to look.
            # Each request has its line; the traceback, which they share, is logged once.
            is_due = self._log_limit.is_due(call.operation, origin_of(error))
            logger.error(  # noqa: TRY400 -- with the traceback where that is due
                *("%s failed; request %s: %s", call.operation, call.request_id),
                type(error).__name__,
                exc_info=error if is_due else None,
            )
            raise FailureError(
                ErrorCode.INTERNAL,
                f"The worker failed; its log says why at request {call.request_id}.",
            ) from None
        return found if isinstance(found, Answer) else Answer(found)

    async def _send_answer(self, message: Msg, answer: Answer) -> None:
        parts = cut(answer.body, self._connection.max_payload_bytes)
        if len(parts) > 1 and wire_headers.ACCEPT_PARTS not in (message.headers or {}):
            raise FailureError(
                ErrorCode.INTERNAL,
                f"The answer has {len(answer.body)} bytes, more than NATS is configured to carry: "
                f"ask with the header {wire_headers.ACCEPT_PARTS}, or raise its max_payload.",
            )
        headers = _headers(answer)
        if len(parts) == 1:
            await self._send(message, answer.body, headers)
            return
        for number, part in enumerate(parts, 1):
            told = headers if number == len(parts) else {}
            await self._send(message, part, {**told, **part_header(number, len(parts))})

    async def _send_failure(self, message: Msg, failure: Failure) -> None:
        await self._send(
            message,
            wire.encode(failure.body()),
            {
                wire_headers.ERROR: failure.code,
                wire_headers.SERVICE_ERROR_CODE: str(failure.http_status),
                wire_headers.SERVICE_ERROR: failure.detail[:SERVICE_ERROR_MAX_CHARS],
            },
        )

    async def _send(self, message: Msg, body: bytes, headers: dict[str, str]) -> None:
        headers[wire_headers.CONTRACT] = CONTRACT_VERSION
        try:
            await self._connection.nats.publish(message.reply, body, headers=headers)
        except (nats.errors.Error, OSError) as error:
            self.counts.unsent += 1
            if self._log_limit.is_due("unsent", type(error)):
                logger.warning("An answer could not be sent: %s", type(error).__name__)

    async def _discover(self, message: Msg) -> None:
        answer = self.discovery.answer(message.subject)
        if answer is not None and may_be_answered(message.subject, message.reply):
            await self._send(message, answer, {})


def _headers(answer: Answer) -> dict[str, str]:
    if answer.block is None:
        return dict(answer.headers)
    return {
        **answer.headers,
        wire_headers.BLOCK_NUMBER: str(answer.block.number),
        wire_headers.BLOCK_HASH: answer.block.hash,
    }
