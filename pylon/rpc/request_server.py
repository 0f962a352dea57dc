"""Serve requests: limited concurrency, one reply each, and a drain when the worker stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.msg import Msg

from pylon.common.admission import OPEN_CALLER, Admission, Permit
from pylon.common.logs import bind_log_fields, parse_trace_id
from pylon.rpc.call_parsing import parse_call
from pylon.rpc.callers import caller_of, is_valid_reply_subject
from pylon.rpc.calls import CallResult, Handler, HandlerTable, ServiceCall
from pylon.rpc.discovery import ServiceDiscovery
from pylon.rpc.reply_sender import ReplySender
from pylon.rpc.request_cancellations import RequestCancellations
from pylon.rpc.request_counts import RequestCounts
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import Params
from pylon_client.contract.subjects import (
    ALL_IDENTITIES,
    ALL_OPEN,
    ALL_REPLAYS,
    CANCELLATIONS,
    READER_USER,
    cancellation_subject,
)
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S, QUEUE_GROUP
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.nats.nats_client import ReceivedMsg
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.nats.nats_errors import PermissionViolation

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

logger = logging.getLogger(__name__)

MAX_PENDING_REQUESTS: Final = 4096
"""Maximum number of delivered requests of a subscription that wait for the event loop; more are
dropped. Requests queue up only in a flood, and delay the later ones."""
MAX_REPLIES_IN_TURN: Final = 8
"""Maximum number of replies from memory in a row before other tasks of the event loop run."""
ALL_REQUESTS: Final = (ALL_OPEN, ALL_IDENTITIES, ALL_REPLAYS)

SUBSCRIPTION_ERRORS: Final = (nats.errors.Error, OSError)
"""Errors of `RequestServer.add_subjects` and of the function that it returns."""


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
        self._replies_in_turn = 0
        self._cancellations = RequestCancellations()
        self._replies = ReplySender(connection, self.counts)

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
            # Requests that the server has already sent here are still answered.
            await asyncio.gather(*map(self._connection.nats.drain_subscription, added))

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
        if cancel_id and self._cancellations.take_early(cancel_id):
            self.counts.cancelled += 1
            return
        try:
            permit = self._admission.admit(caller_of(message.subject, self._identities))
        except FailureError as error:
            self.counts.overloaded += 1
            await self._replies.send_failure(message, error.failure)
            return
        task: asyncio.Task[None] | None = None
        try:
            task = await self._handle(message, permit)
        finally:
            if task is None:
                permit.release()
        if task is None:
            self._replies_in_turn += 1
            if self._replies_in_turn < MAX_REPLIES_IN_TURN:
                return
        elif cancel_id:
            self._cancellations.register(cancel_id, task)
        # Start it before the next message is processed: requests of a burst that wait then release
        # their permits early.
        self._replies_in_turn = 0
        await asyncio.sleep(0)

    async def _on_cancellation(self, message: Msg) -> None:
        """Cancel a request that its caller has cancelled."""
        self.counts.cancelled += self._cancellations.cancel(message.data)

    def _drop(self, message: Msg) -> None:
        self.counts.invalid_replies += 1
        # Log at 1, 2, 4, 8 and so on: callers must not be able to fill the log.
        if self.counts.invalid_replies.bit_count() == 1:
            logger.warning(
                "Dropped %d requests so far with an invalid reply subject, the last one on %r",
                self.counts.invalid_replies,
                message.subject,
            )

    async def _handle(self, message: Msg, permit: Permit) -> asyncio.Task[None] | None:
        """Reply from memory, or return the task that executes the request and replies later."""
        begun_ns = time.monotonic_ns()
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
        except FailureError as failed:
            await self._replies.send_failure(message, failed.failure)
            return None
        stored = self.find_in_memory(call)
        if stored is not None:
            # A task would cost more than the rest of such a request.
            await self._reply(message, call, begun_ns, stored)
            return None
        task = asyncio.create_task(self._reply(message, call, begun_ns))
        # A callback also runs for a task that is cancelled before its first step.
        task.add_done_callback(lambda _: permit.release())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _reply(
        self,
        message: Msg,
        call: ServiceCall[Params],
        begun_ns: int,
        result: CallResult | None = None,
    ) -> None:
        """Send the result in memory, or execute the call in a separate task first."""
        error = ""
        try:
            if result is None:
                trace = (message.headers or {}).get(wire_headers.TRACE_PARENT, "")
                bind_log_fields(
                    request_id=call.request_id,
                    trace_id=parse_trace_id(trace),
                    identity=call.identity,
                    netuid=call.netuid,
                )
                result = await self.execute(call)
            await self._replies.send_result(message, result)
        except FailureError as failed:
            error = str(failed)
            self.counts.overloaded += failed.code is ErrorCode.OVERLOADED
            await self._replies.send_failure(message, failed.failure)
        except asyncio.CancelledError:
            if self._cancellations.is_cancelled(asyncio.current_task()):
                error = ErrorCode.CANCELLED
                raise
            error = ErrorCode.SHUTTING_DOWN
            await self._replies.send_failure(
                message,
                FailureError(ErrorCode.SHUTTING_DOWN, "The worker is stopping.").failure,
            )
            raise
        finally:
            counts = self.discovery.endpoints[call.scope, call.operation]
            counts.record(time.monotonic_ns() - begun_ns, error)

    async def _on_discovery(self, message: Msg) -> None:
        response = self.discovery.respond(message.subject)
        if response is not None and is_valid_reply_subject(message.subject, message.reply):
            await self._replies.send(message, response, {})
