"""Requests over one connection to NATS, with cancellation and retries of reads."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import nats.errors

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import is_read, needs_signer
from pylon_client.contract.subjects import CONTRACT_VERSION, cancellation_subject
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S
from pylon_client.nats.nats_client import PylonNatsClient
from pylon_client.nats.nats_errors import describe_error
from pylon_client.nats.nats_reply import Reply, raise_for_failure
from pylon_client.nats.pending_requests import PendingRequests
from pylon_client.nats.reply_budget import ReplyBudget

SIGNER_WAIT_MAX_S: Final = 15.0
"""Seconds for which a request waits for a signer to start; about the duration of a restart."""
SIGNER_RETRY_DELAY_S: Final = 0.25
READ_RETRY_DELAY_S: Final = 0.05

_NO_REPLY_DETAIL: Final = "There was no reply within the timeout."


class _NoResponderError(FailureError):
    """No worker has subscribed to the subject, so none has received the request."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NATS_UNAVAILABLE, "No worker is running.")


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
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Reply:
        """Return the successful reply to a request.

        Headers carry the timeout and the contract's version. If this call is cancelled, the worker
        cancels the request. Within the timeout, a read is sent again after a disconnect, and a
        request that needs a signer while no signer runs.

        Args:
            subject: the subject of the request.
            body: JSON parameters.
            headers: further headers.
            timeout_s: timeout for the reply, in seconds.

        Raises:
            FailureError: the failure in the reply. Otherwise FORBIDDEN if the server denies the
                subject, NATS_UNAVAILABLE if there is no connection, the connection broke, or no
                worker is running, DEADLINE_EXCEEDED if there was no reply in time, and INVALID if
                the body is too large.
        """
        if len(body) > self._nats.body_max_bytes:
            raise FailureError(ErrorCode.INVALID, f"A request of {len(body)} bytes is too large.")
        began_s = time.monotonic()
        while True:
            waited_s = time.monotonic() - began_s
            if waited_s >= timeout_s:
                raise FailureError(ErrorCode.DEADLINE_EXCEEDED, _NO_REPLY_DETAIL)
            try:
                return await self._request_once(subject, body, headers or {}, timeout_s - waited_s)
            except FailureError as error:
                delay_s = self._retry_delay_s(subject, error, time.monotonic() - began_s)
                if delay_s is None:
                    raise
            await asyncio.sleep(delay_s)

    def _retry_delay_s(self, subject: str, error: FailureError, waited_s: float) -> float | None:
        """Return the delay before a request is sent again; None if it must not be."""
        if is_read(subject) and self._may_retry_read(error):
            return READ_RETRY_DELAY_S
        is_starting = isinstance(error, _NoResponderError) and waited_s < SIGNER_WAIT_MAX_S
        return SIGNER_RETRY_DELAY_S if is_starting and needs_signer(subject) else None

    async def _request_once(
        self, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        sent_headers = {
            **headers,
            wire_headers.TIMEOUT: wire_headers.encode_timeout(timeout_s),
            # For workers of versions that do not read the timeout.
            wire_headers.DEADLINE: wire_headers.encode_deadline(timeout_s),
            wire_headers.CONTRACT: CONTRACT_VERSION,
            wire_headers.ACCEPT_PARTS: "1",
        }
        cancel_on = cancellation_subject(subject)
        cancel_id = secrets.token_urlsafe(16)
        if cancel_on is not None:
            sent_headers[wire_headers.CANCEL_ID] = cancel_id
        try:
            async with (
                self._pending.wait(subject, timeout_s),
                self._reply_budget.reserve(subject),
            ):
                await self._await_connected()
                # The library's timeout is longer: only ours knows why the wait ended.
                message = await self._nats.request(
                    subject, body, timeout=timeout_s + 1, headers=sent_headers
                )
                self._reply_budget.record_size(subject, len(message.data))
        except nats.errors.NoRespondersError:
            raise _NoResponderError from None
        except TimeoutError:
            raise FailureError(ErrorCode.DEADLINE_EXCEEDED, _NO_REPLY_DETAIL) from None
        except nats.errors.Error as error:
            raise FailureError(
                ErrorCode.NATS_UNAVAILABLE,
                f"NATS did not accept the request: {describe_error(error)}.",
            ) from None
        except asyncio.CancelledError:
            if cancel_on is not None:
                with contextlib.suppress(nats.errors.Error, OSError):
                    await self._nats.publish(cancel_on, cancel_id.encode())
            raise
        return raise_for_failure(Reply(message.data, message.headers or {}))
