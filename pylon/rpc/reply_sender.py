"""Send the replies to requests: results, in parts if they are large, and failures."""

import logging
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from pylon.rpc.calls import CallResult
from pylon.rpc.request_counts import RequestCounts
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, Failure, FailureError
from pylon_client.contract.subjects import CONTRACT_VERSION
from pylon_client.log_limit import LogLimit
from pylon_client.nats.message_parts import part_header, split_body
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

MAX_SERVICE_ERROR_CHARS: Final = 300
"""Maximum length of the error text in the headers of a reply."""


class ReplySender:
    """Sends replies over one connection.

    Args:
        connection: on which the requests arrive.
        counts: counts replies that cannot be sent.
    """

    def __init__(self, connection: NatsConnection, counts: RequestCounts) -> None:
        self._connection = connection
        self._counts = counts
        self._log_limit = LogLimit()

    async def send_result(self, message: Msg, result: CallResult) -> None:
        """Send the result of a call, in parts if it exceeds one message.

        Raises:
            FailureError: INTERNAL; the caller does not accept a reply in parts.
        """
        parts = split_body(result.body, self._connection.max_payload_bytes)
        if len(parts) > 1 and wire_headers.ACCEPT_PARTS not in (message.headers or {}):
            raise FailureError(
                ErrorCode.INTERNAL,
                f"The reply has {len(result.body)} bytes, more than the max_payload of NATS: send "
                f"the request with the header {wire_headers.ACCEPT_PARTS}, or raise max_payload.",
            )
        headers = _result_headers(result)
        if len(parts) == 1:
            await self.send(message, result.body, headers)
            return
        for number, part in enumerate(parts, 1):
            block_headers = headers if number == len(parts) else {}
            await self.send(message, part, {**block_headers, **part_header(number, len(parts))})

    async def send_failure(self, message: Msg, failure: Failure) -> None:
        """Send a failure, as a body and as headers."""
        await self.send(
            message,
            json_codec.encode(failure.body()),
            {
                wire_headers.ERROR: failure.code,
                wire_headers.SERVICE_ERROR_CODE: str(failure.http_status),
                wire_headers.SERVICE_ERROR: failure.detail[:MAX_SERVICE_ERROR_CHARS],
            },
        )

    async def send(self, message: Msg, body: bytes, headers: dict[str, str]) -> None:
        """Send one message to the reply subject of a request; count it if it cannot be sent."""
        headers[wire_headers.CONTRACT] = CONTRACT_VERSION
        try:
            await self._connection.nats.publish(message.reply, body, headers=headers)
        except (nats.errors.Error, OSError) as error:
            self._counts.unsent_replies += 1
            if self._log_limit.is_due("unsent", type(error)):
                logger.warning("Could not send a reply: %s", type(error).__name__)


def _result_headers(result: CallResult) -> dict[str, str]:
    if result.block is None:
        return dict(result.headers)
    return {
        **result.headers,
        wire_headers.BLOCK_NUMBER: str(result.block.number),
        wire_headers.BLOCK_HASH: result.block.hash,
    }
