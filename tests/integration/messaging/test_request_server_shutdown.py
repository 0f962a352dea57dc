"""Requests while a worker drains, while workers are replaced and after an outage of NATS."""

import asyncio

from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.served_operations import LATEST, Serve, failure, serving
from tests.support.product.deployment import ConnectAs
from tests.support.product.eventually import HANGS_AFTER_S, eventually

BLOCK = "pylon.v1.open.chain.block.latest"
REQUESTERS = 20


async def test_draining_finishes_requests_in_progress_and_accepts_no_new_ones(
    connect_as: ConnectAs,
) -> None:
    go = asyncio.Event()

    async def handler(_: ServiceCall) -> bytes:
        await go.wait()
        return b"done"

    worker, client = await connect_as("worker"), await connect_as(None)
    service = await serving(worker, handler)
    in_hand = asyncio.create_task(client.request(LATEST, timeout_s=600))
    await eventually(lambda: service.in_progress == 1)
    draining = asyncio.create_task(service.drain(600))
    await eventually(lambda: not service.is_serving)
    assert (await failure(client, LATEST)).code is ErrorCode.NATS_UNAVAILABLE
    assert not draining.done()
    go.set()
    await draining
    assert (await in_hand).body == b"done"


async def test_draining_cancels_slow_requests_with_an_error(connect_as: ConnectAs) -> None:
    async def handler(_: ServiceCall) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    worker, client = await connect_as("worker"), await connect_as(None)
    service = await serving(worker, handler)
    endless = asyncio.create_task(failure(client, BLOCK, timeout_s=600))
    await eventually(lambda: service.in_progress == 1)
    await service.drain(0.2)
    assert (await endless).code is ErrorCode.SHUTTING_DOWN
    assert service.in_progress == 0


async def test_draining_during_an_outage_ends_in_time(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    async def handler(_: ServiceCall) -> bytes:
        return b""

    worker = await connect_as("worker")
    service = await serving(worker, handler)
    await server.kill()
    await eventually(lambda: not worker.is_connected)
    async with asyncio.timeout(HANGS_AFTER_S):
        await service.drain(0.5)
        await worker.drain()


async def test_a_rolling_restart_of_two_workers_loses_no_request(connect_as: ConnectAs) -> None:
    """Twenty callers ask without pause while each of two workers is replaced five times."""

    async def handler(_: ServiceCall) -> bytes:
        await asyncio.sleep(0.001)
        return b"done"

    async def worker() -> tuple[NatsConnection, RequestServer]:
        connection = await connect_as("worker")
        return connection, await serving(connection, handler)

    answered = [0] * REQUESTERS
    stop = asyncio.Event()

    async def ask(number: int, client: NatsConnection) -> None:
        while not stop.is_set():
            assert (await client.request(LATEST, timeout_s=60)).body == b"done"
            answered[number] += 1

    clients = [await connect_as(None) for _ in range(4)]
    workers = [await worker(), await worker()]
    async with asyncio.TaskGroup() as asking:
        for number in range(REQUESTERS):
            asking.create_task(ask(number, clients[number % 4]))
        for _ in range(10):
            reached = sum(answered) + 200
            await eventually(lambda: sum(answered) >= reached)  # noqa: B023 -- awaited here
            workers.append(await worker())
            connection, service = workers.pop(0)
            await service.drain(60)
            await connection.drain()
            assert service.counts.unsent_replies == 0
        stop.set()
    assert min(answered) > 0


async def test_after_the_server_came_back_requests_are_served_again(
    server: NatsServer, serve: Serve, connect_as: ConnectAs
) -> None:
    async def handler(_: ServiceCall) -> bytes:
        return b"done"

    await serve(handler)
    client = await connect_as(None)
    await server.restart()
    async with asyncio.timeout(HANGS_AFTER_S):
        while True:
            try:
                reply = await client.request(LATEST, timeout_s=5)
            except FailureError as error:
                assert error.code is ErrorCode.NATS_UNAVAILABLE  # noqa: PT017 -- tried again
            else:
                break
    assert reply.body == b"done"
