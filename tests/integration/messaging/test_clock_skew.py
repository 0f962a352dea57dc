"""Requests of clients and bridges with a wrong clock to a worker with a correct clock."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.operations import LATEST_BLOCK
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.clocks import skewed_clock
from tests.support.product.deployment import ConnectAs
from tests.support.product.eventually import HANGS_AFTER_S

BLOCK = {"number": 7, "hash": "0x" + "07" * 32, "timestamp": 1_700_000_000}
SKEWS_S = (-86_400.0, 86_400.0)
ASK = """
import asyncio, sys, time
from pylon_client.v1 import AsyncConfig, AsyncPylonClient

async def main():
    async with AsyncPylonClient(AsyncConfig(address=sys.argv[1])) as client:
        print(time.time(), (await client.open_access.get_latest_block_info()).number)

asyncio.run(main())
"""


async def serving(connect_as: ConnectAs, timeouts_s: list[float]) -> RequestServer:
    async def latest_block(call: ServiceCall) -> bytes:
        timeouts_s.append(call.timeout_s)
        return json_codec.encode(BLOCK)

    service = RequestServer(
        await connect_as("worker"),
        {LATEST_BLOCK.name: latest_block},
        identities={},
        max_requests=10,
    )
    await service.start()
    return service


@pytest.mark.parametrize("skew_s", SKEWS_S)
async def test_a_client_with_a_wrong_clock_is_answered(
    server: NatsServer, connect_as: ConnectAs, skew_s: float
) -> None:
    timeouts_s: list[float] = []
    await serving(connect_as, timeouts_s)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASK, server.url),
        env=os.environ | skewed_clock(skew_s),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    its_time_s, number = out.split()
    assert number == b"7"
    assert abs(float(its_time_s) - time.time() - skew_s) < abs(skew_s) / 2, "its clock was right"
    assert all(0 < timeout_s <= 60 for timeout_s in timeouts_s)


@pytest.mark.parametrize("skew_s", SKEWS_S)
async def test_a_bridge_with_a_wrong_clock_is_answered(
    server: NatsServer, connect_as: ConnectAs, tmp_path: Path, skew_s: float
) -> None:
    timeouts_s: list[float] = []
    await serving(connect_as, timeouts_s)
    environment = bridge_environment(server.url) | skewed_clock(skew_s)
    async with BridgeProcess(tmp_path, environment) as bridge:
        await bridge.until("/health/ready", 200)
        response = await bridge.get("/api/v1/block/latest", headers={"X-Pylon-Timeout": "5"})
    assert response.json() == BLOCK
    assert 0 < timeouts_s[-1] <= 5


@pytest.mark.parametrize(
    ("skew_s", "code"), [(-86_400.0, ErrorCode.DEADLINE_EXCEEDED), (86_400.0, None)]
)
async def test_the_error_for_an_older_client_mentions_its_clock(
    connect_as: ConnectAs, skew_s: float, code: ErrorCode | None
) -> None:
    """It sends only the deadline, by which a wrong clock and a late request look the same."""
    timeouts_s: list[float] = []
    await serving(connect_as, timeouts_s)
    client = await connect_as(None)
    deadline = wire_headers.encode_deadline(60 + skew_s)
    reply = await client.nats.request(
        "pylon.v1.open.chain.block.latest",
        b"",
        timeout=HANGS_AFTER_S,
        headers={wire_headers.DEADLINE: deadline},
    )
    assert (reply.headers or {}).get(wire_headers.ERROR) == code
    if code is not None:
        assert "its clock is behind" in json_codec.decode(reply.data)["detail"]


async def test_a_worker_of_the_version_before_gets_the_deadline(connect_as: ConnectAs) -> None:
    old_worker, client = await connect_as("worker"), await connect_as("alice")
    left_s: list[float] = []

    async def answer(message: Msg) -> None:
        sent = message.headers or {}
        left_s.append(wire_headers.seconds_left(sent[wire_headers.DEADLINE]))
        await message.respond(b"{}")

    await old_worker.subscribe("pylon.v1.open.>", answer)
    await old_worker.nats.flush()
    await client.request("pylon.v1.open.chain.block.latest", timeout_s=20)
    assert 0 < left_s[0] <= 20
