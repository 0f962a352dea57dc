"""Many concurrent large replies do not exceed nats-server's limit of pending bytes."""

import asyncio
from pathlib import Path

from pylon.nats_server.permissions import authorization_config
from pylon.nats_server.server_limits import MAX_PENDING_BYTES, limits_text
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.raw_nats import RawNats
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S

LATEST = "pylon.v1.open.chain.block.latest"
REPLY = b"x" * 900_000
REQUESTS = 20 * MAX_PENDING_BYTES // len(REPLY)


async def test_one_connection_receives_many_large_replies_at_once(tmp_path: Path) -> None:
    rules = authorization_config(deployment_settings())
    async with NatsServer(tmp_path, rules, more=limits_text()) as server:
        replied: list[bytes] = []

        def reply_to(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
            worker.publish(reply, REPLY)
            replied.append(reply)

        async with RawNats(server.url, "worker", WORKER_PASSWORD, reply_to) as worker:
            worker.subscribe(LATEST)
            await worker.flush()
            caller = await connect(ConnectionOptions((server.url,)))
            await caller.request(LATEST, timeout_s=HANGS_AFTER_S)  # the size is known from then on
            replies = await asyncio.gather(
                *(caller.request(LATEST, timeout_s=HANGS_AFTER_S) for _ in range(REQUESTS))
            )
            assert {reply.body for reply in replies} == {REPLY}
            assert caller.counts.disconnects == 0
            assert len(replied) == REQUESTS + 1
            await caller.close()
