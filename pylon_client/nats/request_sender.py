"""Requests over one connection to NATS, with cancellation and retries of reads."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import is_read, needs_signer
from pylon_client.contract.subjects import CONTRACT_VERSION, cancellation_subject
from pylon_client.nats.nats_client import PylonNatsClient
from pylon_client.nats.nats_errors import describe_error
from pylon_client.nats.nats_reply import Reply, raise_for_failure
from pylon_client.nats.pending_requests import PendingRequests
from pylon_client.nats.reply_budget import ReplyBudget

MAX_SIGNER_WAIT_S: Final = 15.0
"""Seconds for which a request waits for a signer to start; about the duration of a restart."""
SIGNER_RETRY_DELAY_S: Final = 0.25
READ_RETRY_DELAY_S: Final = 0.05


class RequestSender:
    """Sends the requests of one connection and waits for their replies.

    Args:
        nats: the NATS client.
        pending: the pending requests of the connection.
        await_connected: waits for a reconnect; raises FailureError after a timeout.
        may_retry_read: returns whether to send a read again after this failure.
    """

    def __init__(
        self,
        nats: PylonNatsClient,
        pending: PendingRequests,
        await_connected: Callable[[], Awaitable[None]],
        may_retry_read: Callable[[FailureError], bool],
    ) -> None:
        self._nats = nats
        self._await_connected = await_connected
        self._may_retry_read = may_retry_read
        self._pending = pending
        self._reply_budget = ReplyBudget()

    async def request(
        self, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """Return the successful reply to a request; see `NatsConnection.request`.

        Raises:
            FailureError: the failure in the reply, or the reason why there is no reply.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise FailureError(ErrorCode.DEADLINE_EXCEEDED, "The timeout is over already.")
            try:
                return await self._request_once(subject, body, headers, left_s)
            except FailureError as error:
                if not (is_read(subject) and self._may_retry_read(error)):
                    raise
            await asyncio.sleep(READ_RETRY_DELAY_S)

    async def _request_once(
        self, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        sent_headers = {
            **headers,
            # For workers of versions that do not read the timeout.
            wire_headers.DEADLINE: wire_headers.encode_deadline(timeout_s),
            wire_headers.CONTRACT: CONTRACT_VERSION,
            wire_headers.ACCEPT_PARTS: "1",
        }
        cancel_on = cancellation_subject(subject)
        if cancel_on is None:
            return raise_for_failure(await self._send(subject, body, sent_headers, timeout_s))
        cancel_id = sent_headers[wire_headers.CANCEL_ID] = secrets.token_urlsafe(16)
        try:
            return raise_for_failure(await self._send(subject, body, sent_headers, timeout_s))
        except asyncio.CancelledError:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._nats.publish(cancel_on, cancel_id.encode())
            raise

    async def _send(
        self, subject: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> Reply:
        until_s = time.monotonic() + timeout_s
        try:
            async with (
                self._pending.wait(subject, timeout_s),
                self._reply_budget.reserve(subject),
            ):
                await self._await_connected()
                message = await self._request_until_received(subject, body, headers, until_s)
                self._reply_budget.record_size(subject, len(message.data))
        except nats.errors.NoRespondersError:
            raise FailureError(ErrorCode.NATS_UNAVAILABLE, "No worker is running.") from None
        except TimeoutError:
            raise FailureError(
                ErrorCode.DEADLINE_EXCEEDED, "There was no reply within the timeout."
            ) from None
        except nats.errors.Error as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE,
                f"NATS did not accept the request: {describe_error(error)}.",
            ) from None
        return Reply(message.data, message.headers or {})

    async def _request_until_received(
        self, subject: str, body: bytes, headers: Mapping[str, str], until_s: float
    ) -> Msg:
        """Return the reply; send the request again while no signer runs.

        Args:
            subject: the subject of the request.
            body: JSON parameters.
            headers: the headers, except for the timeout, which is counted from each sending.
            until_s: the end of the timeout, by `time.monotonic`.
        """
        give_up_at_s = time.monotonic() + (MAX_SIGNER_WAIT_S if needs_signer(subject) else 0)
        while True:
            left_s = until_s - time.monotonic()
            sent = {**headers, wire_headers.TIMEOUT: wire_headers.encode_timeout(left_s)}
            try:
                # The library's timeout is longer: only ours knows why the wait ended.
                return await self._nats.request(subject, body, timeout=left_s + 1, headers=sent)
            except nats.errors.NoRespondersError:
                if time.monotonic() > give_up_at_s:
                    raise
            await asyncio.sleep(SIGNER_RETRY_DELAY_S)
