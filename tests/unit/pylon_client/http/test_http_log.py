"""Suppression of httpx's log lines."""

import logging

import httpx
import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.operations import LATEST_NEURONS, Scope
from pylon_client.testing import sample_neurons
from pylon_client.transport import OperationCall
from pylon_client.transports.http_transport import HttpTransport
from pylon_client.v1 import (
    AsyncConfig,
    NetUid,
)


async def test_httpx_logs_only_requests_of_other_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=json_codec.encode(sample_neurons()))

    mock_transport = httpx.MockTransport(handler)
    transport = HttpTransport(
        AsyncConfig(address="http://pylon.test"), http_transport=mock_transport
    )
    await transport.open()
    with caplog.at_level(logging.INFO, "httpx"):
        await transport.ask(OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3)))
        assert not caplog.records
        # Requests of the program itself are logged as before.
        async with httpx.AsyncClient(transport=mock_transport) as others:
            await others.get("http://elsewhere.test")
        assert [record.name for record in caplog.records] == ["httpx"]
    with caplog.at_level(logging.DEBUG, "pylon_client"):
        await transport.ask(OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3)))
    await transport.close()
    assert caplog.messages[-1] == "GET /api/v1/subnet/3/block/latest/neurons: 200"
