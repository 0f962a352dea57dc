"""Serve requests: limited concurrency, one reply each, and a drain when the worker stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.msg import Msg

from pylon.common.admission import OPEN_CALLER, Admission, Permit
from pylon.common.logs import bind_log_fields, parse_trace_id
from pylon.rpc.calls import (
    CallResult,
    Handler,
    HandlerTable,
    ServiceCall,
    caller_of,
    is_valid_reply_subject,
    parse_call,
)
from pylon.rpc.discovery import ServiceDiscovery
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.operations import Params
from pylon_client.contract.subjects import (
    ALL_IDENTITIES,
    ALL_OPEN,
    ALL_REPLAYS,
    CANCELLATIONS,
    CONTRACT_VERSION,
    READER_USER,
    cancellation_subject,
)
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S, QUEUE_GROUP
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.log_limit import LogLimit, error_origin
from pylon_client.nats.message_parts import part_header, split_body
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_errors import PermissionViolation

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

logger = logging.getLogger(__name__)

MAX_SERVICE_ERROR_CHARS: Final = 300
"""Maximum length of the error text in the headers of a reply."""
MAX_PENDING_REQUESTS: Final = 4096
"""Maximum number of delivered requests of a subscription that wait for the event loop; more are
dropped. Requests queue up only in a flood, and delay the later ones."""
MAX_EARLY_CANCELLATIONS: Final = 4096
"""Maximum number of cancellations that are stored for requests that have not arrived yet."""
MAX_CANCEL_ID_BYTES: Final = 64
"""Maximum length of a cancellation's id."""
ALL_REQUESTS: Final = (ALL_OPEN, ALL_IDENTITIES, ALL_REPLAYS)

SUBSCRIPTION_ERRORS: Final = (nats.errors.Error, OSError)
"""Errors of `RequestServer.add_subjects` and of the function that it returns."""


@dataclass(slots=True)
class RequestCounts:
    """Requests that a service did not answer with a result.

    Attributes:
        invalid_replies: requests dropped without a reply, since their reply subject is not valid.
        overloaded: requests rejected since their caller had too many in progress.
        unsent_replies: replies that could not be sent.
        cancelled: requests that their caller cancelled.
    """

    invalid_replies: int = 0
    overloaded: int = 0
    unsent_replies: int = 0
    cancelled: int = 0


class RequestServer(HandlerTable):
    """Executes the requests of its queue group with one handler per operation.

    Args:
        connection: on which requests arrive; its owner closes it, after `drain`.
        handlers: handlers by the operation's name; `add` registers further ones.
        identities: the configured identities and the subnet of each.
        max_requests: maximum number of requests in progress; requests that wait for the chain or
            for a job do not count. Each identity and open access have a share of it.
        subjects: subjects of the requests that it serves.
        default_timeout_s: timeout of a request without a deadline, in seconds.

    Attributes:
        counts: requests without a result.
        discovery: counts of executed requests, per operation and scope.
        subscription_denied: set when NATS denies a subscription of requests.
        denied_error: the error to raise then.
    """

    def __init__(
        self,
        connection: NatsConnection,
        handlers: Mapping[str, Handler[Any]] | None = None,
        *,
        identities: Mapping[IdentityName, NetUid],
        max_requests: int,
        subjects: Sequence[str] = ALL_REQUESTS,
        default_timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        super().__init__()
        self.handlers.update(handlers or {})
        self.counts: Final = RequestCounts()
        self.discovery: Final = ServiceDiscovery()
        self.subscription_denied: Final = asyncio.Event()
        self.denied_error: FailureError | None = None
        self._connection = connection
        self._identities = identities
        self._admission = Admission(max_requests, (OPEN_CALLER, READER_USER, *identities))
        self._subjects = tuple(subjects)
        self._default_timeout_s = default_timeout_s
        self._subscriptions: list[Subscription] = []
        self._remove_denial_callback: Callable[[], None] = connection.on_permission_violation(
            self._on_denial
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._by_cancel_id: dict[str, asyncio.Task[None]] = {}
        # Requests and cancellations arrive on different subscriptions, in any order.
        self._early_cancellations: dict[str, None] = {}
        self._cancelled_tasks: set[asyncio.Task[None]] = set()
        self._log_limit = LogLimit()

    @property
    def is_serving(self) -> bool:
        """Return whether new requests arrive here."""
        return bool(self._subscriptions)

    @property
    def in_progress(self) -> int:
        """Return the number of requests in progress."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """Return the number of requests that wait for the chain or for a job."""
        return self._admission.waiting

    async def start(self) -> None:
        """Subscribe to the requests; on return, NATS delivers them here.

        Raises:
            FailureError: FORBIDDEN, if NATS denies a subscription.
        """
        subscribe = self._connection.subscribe
        self._subscriptions = [
            *[await self._subscribe_requests(subject) for subject in self._subjects],
            *[await subscribe(subject, self._on_cancellation) for subject in CANCELLATIONS],
            *[await subscribe(subject, self._on_discovery) for subject in self.discovery.subjects],
        ]
        await self._connection.nats.flush()
        if self.denied_error is not None:
            raise self.denied_error

    async def add_subjects(self, subjects: Iterable[str]) -> Callable[[], Awaitable[None]]:
        """Serve further subjects as well, until the returned function is called.

        Both functions raise one of `SUBSCRIPTION_ERRORS` if NATS does not accept the change.
        """
        added = [await self._subscribe_requests(subject) for subject in subjects]
        self._subscriptions += added

        async def remove() -> None:
            for subscription in added:
                self._subscriptions.remove(subscription)
                await subscription.unsubscribe()

        return remove

    async def _subscribe_requests(self, subject: str) -> "Subscription":
        return await self._connection.subscribe(
            subject, self._on_request, queue=QUEUE_GROUP, max_pending_msgs=MAX_PENDING_REQUESTS
        )

    async def drain(self, timeout_s: float) -> None:
        """Stop receiving requests, finish the requests in progress, and send their replies.

        Requests that do not finish within `timeout_s` seconds are cancelled, and their reply is
        SHUTTING_DOWN.
        """
        try:
            async with asyncio.timeout(timeout_s):
                # New requests go to other workers; delivered requests are still executed.
                await asyncio.gather(*(each.drain() for each in self._subscriptions))
                self._subscriptions.clear()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            logger.warning(
                "Cancelling %d requests in progress: %s", self.in_progress, type(error).__name__
            )
        finally:
            self._remove_denial_callback()
            self._subscriptions.clear()
            await self._cancel_all()

    async def _cancel_all(self) -> None:
        cancelled = tuple(self._tasks)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        if self._connection.is_connected:
            await self._connection.nats.flush()

    def _on_denial(self, denied: PermissionViolation, failure: FailureError) -> None:
        if any(denied.denies_subscribe(subject) for subject in self._subjects):
            self.denied_error = failure
            self.subscription_denied.set()

    async def _on_request(self, message: Msg) -> None:
        if message.subject == cancellation_subject(message.subject):
            return  # every worker receives it by another subscription
        if not is_valid_reply_subject(message.subject, message.reply):
            self._drop(message)
            return
        cancel_id = (message.headers or {}).get(wire_headers.CANCEL_ID)
        if cancel_id and cancel_id in self._early_cancellations:
            del self._early_cancellations[cancel_id]
            self.counts.cancelled += 1
            return
        try:
            place = self._admission.admit(caller_of(message.subject, self._identities))
        except FailureError as error:
            self.counts.overloaded += 1
            await self._send_failure(message, error.failure)
            return
        task = asyncio.create_task(self._handle(message, place))
        # A callback also runs for a task that is cancelled before its first step.
        task.add_done_callback(lambda _: place.release())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if cancel_id:
            self._by_cancel_id[cancel_id] = task
            task.add_done_callback(lambda _: self._by_cancel_id.pop(cancel_id, None))
        # Start it before the next message is processed: requests of a burst that wait then release
        # their permits early.
        await asyncio.sleep(0)

    async def _on_cancellation(self, message: Msg) -> None:
        """Cancel a request that its caller has cancelled."""
        cancel_id = message.data[: MAX_CANCEL_ID_BYTES + 1].decode(errors="replace")
        task = self._by_cancel_id.get(cancel_id)
        if task is not None:
            self.counts.cancelled += 1
            self._cancelled_tasks.add(task)
            task.add_done_callback(self._cancelled_tasks.discard)
            task.cancel()
        elif len(message.data) <= MAX_CANCEL_ID_BYTES:
            # Another worker may execute the request, or it may have finished.
            self._early_cancellations[cancel_id] = None
            if len(self._early_cancellations) > MAX_EARLY_CANCELLATIONS:
                del self._early_cancellations[next(iter(self._early_cancellations))]

    def _drop(self, message: Msg) -> None:
        self.counts.invalid_replies += 1
        # Log at 1, 2, 4, 8 and so on: callers must not be able to fill the log.
        if self.counts.invalid_replies.bit_count() == 1:
            logger.warning(
                "Dropped %d requests so far with an invalid reply subject, the last one on %r",
                self.counts.invalid_replies,
                message.subject,
            )

    async def _handle(self, message: Msg, permit: Permit) -> None:
        begun_ns = time.monotonic_ns()
        call: ServiceCall[Params] | None = None
        error = ""
        try:
            call = parse_call(
                message.subject,
                message.headers or {},
                message.data,
                identities=self._identities,
                default_timeout_s=self._default_timeout_s,
                queued_s=message.age_s if isinstance(message, ReceivedMsg) else 0.0,
                permit=permit,
            )
            bind_log_fields(
                request_id=call.request_id,
                trace_id=parse_trace_id((message.headers or {}).get(wire_headers.TRACE_PARENT, "")),
                identity=call.identity,
                netuid=call.netuid,
            )
            result = await self._execute(call)
            await self._send_result(message, result)
        except FailureError as failed:
            error = str(failed)
            self.counts.overloaded += failed.code is ErrorCode.OVERLOADED
            await self._send_failure(message, failed.failure)
        except asyncio.CancelledError:
            if asyncio.current_task() in self._cancelled_tasks:
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
                counts.record(time.monotonic_ns() - begun_ns, error)

    async def _execute(self, call: ServiceCall[Params]) -> CallResult:
        handler = self.handlers.get(call.operation)
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
                    ErrorCode.DEADLINE_EXCEEDED, "The request did not finish before its deadline."
                ) from None
            # The log has the details; the caller receives only the request's id.
            # Each request has its line; a traceback that repeats is logged once.
            is_due = self._log_limit.is_due(call.operation, error_origin(error))
            logger.error(  # noqa: TRY400 -- with the traceback if it is due
                *("%s failed; request %s: %s", call.operation, call.request_id),
                type(error).__name__,
                exc_info=error if is_due else None,
            )
            raise FailureError(
                ErrorCode.INTERNAL,
                f"The worker failed; its log has the reason at request {call.request_id}.",
            ) from None
        return found if isinstance(found, CallResult) else CallResult(found)

    async def _send_result(self, message: Msg, result: CallResult) -> None:
        parts = split_body(result.body, self._connection.max_payload_bytes)
        if len(parts) > 1 and wire_headers.ACCEPT_PARTS not in (message.headers or {}):
            raise FailureError(
                ErrorCode.INTERNAL,
                f"The reply has {len(result.body)} bytes, more than the max_payload of NATS: send "
                f"the request with the header {wire_headers.ACCEPT_PARTS}, or raise max_payload.",
            )
        headers = _result_headers(result)
        if len(parts) == 1:
            await self._send(message, result.body, headers)
            return
        for number, part in enumerate(parts, 1):
            block_headers = headers if number == len(parts) else {}
            await self._send(message, part, {**block_headers, **part_header(number, len(parts))})

    async def _send_failure(self, message: Msg, failure: Failure) -> None:
        await self._send(
            message,
            json_codec.encode(failure.body()),
            {
                wire_headers.ERROR: failure.code,
                wire_headers.SERVICE_ERROR_CODE: str(failure.http_status),
                wire_headers.SERVICE_ERROR: failure.detail[:MAX_SERVICE_ERROR_CHARS],
            },
        )

    async def _send(self, message: Msg, body: bytes, headers: dict[str, str]) -> None:
        headers[wire_headers.CONTRACT] = CONTRACT_VERSION
        try:
            await self._connection.nats.publish(message.reply, body, headers=headers)
        except (nats.errors.Error, OSError) as error:
            self.counts.unsent_replies += 1
            if self._log_limit.is_due("unsent", type(error)):
                logger.warning("Could not send a reply: %s", type(error).__name__)

    async def _on_discovery(self, message: Msg) -> None:
        response = self.discovery.respond(message.subject)
        if response is not None and is_valid_reply_subject(message.subject, message.reply):
            await self._send(message, response, {})


def _result_headers(result: CallResult) -> dict[str, str]:
    if result.block is None:
        return dict(result.headers)
    return {
        **result.headers,
        wire_headers.BLOCK_NUMBER: str(result.block.number),
        wire_headers.BLOCK_HASH: result.block.hash,
    }
