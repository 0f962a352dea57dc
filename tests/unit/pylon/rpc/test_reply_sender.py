"""Replies: results, in parts if they are large, and failures."""

import json
import logging

import nats.errors
import pytest

from pylon.rpc.calls import CallResult
from pylon.rpc.reply_sender import MAX_SERVICE_ERROR_CHARS, ReplySender
from pylon.rpc.request_counts import RequestCounts
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.fake_nats_client import FakeNatsClient, client_of, message

INBOX = "_INBOX.open.x"
REQUEST = message("pylon.v1.open.1.neurons.latest", reply=INBOX)
ACCEPTS_PARTS = message(reply=INBOX, headers={wire_headers.ACCEPT_PARTS: "1"})
BLOCK = Block(number=BlockNumber(7), hash=BlockHash("0x07"))

pytestmark = pytest.mark.usefixtures("fake_nats")


def sender() -> tuple[ReplySender, FakeNatsClient, RequestCounts]:
    connection = NatsConnection(ConnectionOptions(("nats://a:4222",)))
    counts = RequestCounts()
    return ReplySender(connection, counts), client_of(connection), counts


async def test_a_result_has_its_body_its_headers_and_its_block() -> None:
    replies, client, _ = sender()
    await replies.send_result(REQUEST, CallResult(b"{}", BLOCK, {"Own": "header"}))
    await replies.send_result(REQUEST, CallResult(b"[]"))
    contract = {wire_headers.CONTRACT: "v1"}
    block = {wire_headers.BLOCK_NUMBER: "7", wire_headers.BLOCK_HASH: "0x07"}
    assert client.published == [
        (INBOX, b"{}", {"Own": "header", **block, **contract}),
        (INBOX, b"[]", contract),
    ]


async def test_a_large_result_is_sent_in_parts_and_the_last_has_the_headers() -> None:
    replies, client, _ = sender()
    limit = client.max_payload - 4096
    body = bytes(number % 251 for number in range(2 * limit + 1))
    await replies.send_result(ACCEPTS_PARTS, CallResult(body, BLOCK))
    assert b"".join(part for _, part, _ in client.published) == body
    assert [len(part) for _, part, _ in client.published] == [limit, limit, 1]
    assert [wire_headers.BLOCK_HASH in headers for _, _, headers in client.published] == [
        False,
        False,
        True,
    ]
    assert all(headers[wire_headers.CONTRACT] == "v1" for _, _, headers in client.published)


async def test_a_large_result_for_a_caller_without_parts_is_an_error() -> None:
    replies, client, _ = sender()
    with pytest.raises(FailureError, match="raise max_payload") as caught:
        await replies.send_result(REQUEST, CallResult(b"x" * client.max_payload))
    assert caught.value.code is ErrorCode.INTERNAL
    assert client.published == []


async def test_a_failure_is_in_the_body_and_in_the_headers() -> None:
    replies, client, _ = sender()
    failure = FailureError(ErrorCode.NOT_FOUND, "x" * (MAX_SERVICE_ERROR_CHARS + 1)).failure
    await replies.send_failure(REQUEST, failure)
    ((subject, body, headers),) = client.published
    assert subject == INBOX
    assert json.loads(body) == failure.body()
    assert headers == {
        wire_headers.ERROR: "NOT_FOUND",
        wire_headers.SERVICE_ERROR_CODE: "404",
        wire_headers.SERVICE_ERROR: "x" * MAX_SERVICE_ERROR_CHARS,
        wire_headers.CONTRACT: "v1",
    }


@pytest.mark.parametrize("error", [nats.errors.ConnectionClosedError(), OSError("broken")])
async def test_replies_that_cannot_be_sent_are_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    replies, client, counts = sender()
    client.error = error
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await replies.send_result(REQUEST, CallResult(b"{}"))
    assert counts.unsent_replies == 3
    assert caplog.text.count("Could not send a reply") == 1
