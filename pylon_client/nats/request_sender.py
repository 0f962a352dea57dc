"""Single requests over a connection to NATS, which can be cancelled."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping

import nats.errors

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import CONTRACT_VERSION, cancellation_subject
from pylon_client.nats.nats_client import PylonNatsClient
from pylon_client.nats.nats_errors import describe_error
from pylon_client.nats.nats_reply import Reply, raise_for_failure
from pylon_client.nats.pending_requests import PendingRequests
from pylon_client.nats.reply_budget import ReplyBudget


class NoResponderError(FailureError):
    """No worker has subscribed to the subject, so none has received the request."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.NATS_UNAVAILABLE, "No worker is running.")


class RequestSender:
    """Sends the requests of one connection and waits for their replies.

    Args:
        nats: the NATS client.
        pending: the pending requests of the connection.
        await_connected: waits for a reconnect; raises FailureError after a timeout.
    """

    def __init__(
        self,
        nats: PylonNatsClient,
        pending: PendingRequests,
        await_connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._nats = nats
        self._await_connected = await_connected
        self._pending = pending
        self._reply_budget = ReplyBudget()

    async def send(
        self, subject: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """Send a request once, and return its successful reply.

        If this call is cancelled, the worker cancels the request.

        Raises:
            NoResponderError: no worker is running.
            FailureError: the failure in the reply, or the reason why there is no reply.
        """
        if timeout_s <= 0:
            raise FailureError(ErrorCode.DEADLINE_EXCEEDED, "The timeout is over already.")
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
            raise NoResponderError from None
        except TimeoutError:
            raise FailureError(
                ErrorCode.DEADLINE_EXCEEDED, "There was no reply within the timeout."
            ) from None
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
