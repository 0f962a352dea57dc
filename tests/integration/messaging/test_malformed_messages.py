"""Malformed messages, which client libraries do not send: a worker's connection stays open."""

import asyncio

import pytest
from nats.aio.msg import Msg

from pylon.jetstream.consumer import Ack, Acknowledgement, Consumer
from pylon.jetstream.provision import provision_streams
from pylon_client.contract.topology import JOB_QUEUE
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.raw_nats import RawNats, header_block
from tests.support.product.deployment import WORKER_PASSWORD, ConnectAs
from tests.support.product.eventually import eventually

SANE = b"pylon.v1.open.chain.block.latest"
INBOX = b"_INBOX.open.x"


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        (b"pylon.v1.open.chain.\xff\xfe", b""),
        (b"pylon.v1.open.chain.a\x0bb", b""),
        (b"pylon.v1.open.chain.a\x0cb", b""),
        (b"pylon.v1.open.chain.\x00\x7f", b""),
        (SANE, b"x"),
        (SANE, b"NATS/1.0"),
        (SANE, b"NATS/1.0 \xff\xff\xff\r\n\r\n"),
        (SANE, b"NATS/1.0 503 \xff\r\n\r\n"),
        (SANE, b"NATS/1.0 503\r\nStatus: 503\r\n\r\n"),
        (SANE, b"\xff" * 100),
        (SANE, header_block((b"\xff", b"\xff"), (b"a b", b"c"), (b"", b""))),
    ],
)
async def test_a_malformed_message_and_the_next_one_are_processed(
    server: NatsServer, connect_as: ConnectAs, subject: bytes, headers: bytes
) -> None:
    worker = await connect_as("worker")
    received: list[Msg] = []

    async def receive(message: Msg) -> None:
        received.append(message)

    await worker.subscribe("pylon.v1.open.>", receive)
    await worker.nats.flush()
    async with RawNats(server.url, None, "", lambda *_: None) as raw:
        raw.publish(subject, b"odd", reply=INBOX, headers=headers)
        raw.publish(SANE, b"sane", reply=INBOX)
        await raw.flush()
        await eventually(lambda: len(received) == 2)
    assert [(message.data, message.reply) for message in received] == [
        (b"odd", INBOX.decode()),
        (b"sane", INBOX.decode()),
    ]
    assert received[1].subject == SANE.decode()
    assert (worker.counts.disconnects, worker.is_connected) == (0, True)


async def test_a_job_with_status_headers_does_not_block_its_queue(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    worker = await connect_as("worker")
    await provision_streams(worker)
    bodies: list[bytes] = []

    async def handler(body: bytes) -> Acknowledgement:
        bodies.append(body)
        return Ack()

    subject = "pylon.v1.job.alice.commitment"
    consumer = Consumer(worker, JOB_QUEUE, name="jobs", subject=subject, handler=handler)
    async with RawNats(server.url, "worker", WORKER_PASSWORD, lambda *_: None) as raw:
        for number, status in enumerate((b"100", b"404", b"408", b"409", b"503")):
            raw.publish(subject.encode(), b"%d" % number, headers=header_block((b"Status", status)))
            raw.publish(
                subject.encode(), b"%d" % number, headers=b"NATS/1.0 %b Idle\r\n\r\n" % status
            )
        raw.publish(subject.encode(), b"last")
        await raw.flush()
    running = asyncio.create_task(consumer.run())
    await eventually(lambda: bodies[-1:] == [b"last"])
    assert len(bodies) == 11
    consumer.stop()
    await running
