"""A stub of a worker: one reply to every request, sent when the test allows it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.msg import Msg

from pylon_client.contract import headers, json_codec
from pylon_client.contract.event_replay import PUBLISHED_BLOCK
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import ALL_IDENTITIES, ALL_OPEN, WORKER_USER
from pylon_client.contract.topology import QUEUE_GROUP
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.product.deployment import WORKER_PASSWORD
from tests.support.product.eventually import HANGS_AFTER_S

POLL_S = 0.01
NOTHING_PUBLISHED = FailureError(ErrorCode.NOT_FOUND, "Nothing is published.")


class StubWorker:
    """A worker that sends the same reply to every request; it has published nothing.

    Attributes:
        reply: the body, or the failure.
        gate: replies are sent while it is set; it is set at first.
        requests: every request that has arrived, except those for stored events.
    """

    def __init__(self) -> None:
        self.reply: bytes | FailureError = b"{}"
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests: list[Msg] = []

    @asynccontextmanager
    async def at(self, url: str) -> AsyncGenerator[None]:
        """Serve requests within the block."""
        connection = await connect(ConnectionOptions((url,), WORKER_USER, WORKER_PASSWORD))
        working: set[asyncio.Task[None]] = set()

        async def on_request(message: Msg) -> None:
            if message.subject.endswith(f".{PUBLISHED_BLOCK.name}"):
                await _send(connection, message, NOTHING_PUBLISHED)
                return
            self.requests.append(message)
            task = asyncio.create_task(self._serve(connection, message))
            working.add(task)
            task.add_done_callback(working.discard)

        try:
            for subject in (ALL_OPEN, ALL_IDENTITIES):
                await connection.nats.subscribe(subject, queue=QUEUE_GROUP, cb=on_request)
            await connection.nats.flush()
            yield
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await connection.close()

    async def has_received(self, times: int) -> None:
        """Wait until a number of requests have arrived."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while len(self.requests) < times:
                await asyncio.sleep(POLL_S)

    async def _serve(self, connection: NatsConnection, message: Msg) -> None:
        await self.gate.wait()
        await _send(connection, message, self.reply)


async def _send(connection: NatsConnection, message: Msg, reply: bytes | FailureError) -> None:
    if isinstance(reply, FailureError):
        failure = reply.failure
        await connection.nats.publish(
            message.reply,
            json_codec.encode(failure.body()),
            headers={headers.ERROR: failure.code},
        )
    else:
        await message.respond(reply)
