"""Revoked subscribe permissions: subscribers receive an error instead of nothing."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import bridge.event_buffers
from bridge.event_buffers import follow_subject
from pylon.events.event_log import EventLog
from pylon.events.replay import ReplayHandlers
from pylon.jetstream.provision import provision_streams
from pylon.nats_server.permissions import authorization_block, authorization_config, nats_users
from pylon.rpc.request_server import RequestServer
from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import (
    ALL_NEURONS_EVENTS,
    BLOCK_EVENTS,
    OPEN_USER,
    inbox_prefix,
)
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.events.stored_events import FeedEvent
from pylon_client.nats.nats_connection import NatsConnection
from pylon_client.v1 import ASYNC_DEFAULT_RETRIES, AsyncConfig, AsyncPylonClient, PylonForbidden
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import ConnectAs, deployment_settings, token_of
from tests.support.product.eventually import HANGS_AFTER_S, eventually

SETTINGS = deployment_settings(identities={"alice": 1, "Bob": 2})
EVENTS_SUBJECTS = (BLOCK_EVENTS, ALL_NEURONS_EVENTS)
INBOX_OF_ALICE = f"{inbox_prefix('alice')}.>"
RELOADED = "Reloaded server configuration"


def authorization_without(user: str, *subjects: str) -> str:
    """Return the users of the server; one of them may not subscribe to some subjects."""
    users = authorization_block(
        replace(each, subscribe=tuple(one for one in each.subscribe if one not in subjects))
        if each.name == user
        else each
        for each in nats_users(SETTINGS)
    )
    # A server takes no reload that would change this.
    return f"{users}no_auth_user: {OPEN_USER}\n"


async def reload(server: NatsServer, text: str) -> None:
    """Reload the server with other users, and wait until they are active."""
    before = server.log.count(RELOADED)
    server.reload(text)
    await eventually(lambda: server.log.count(RELOADED) > before)


async def publish_block(worker: NatsConnection, number: int) -> None:
    block_hash = f"0x{number:064x}"
    await worker.nats.jetstream().publish(
        BLOCK_EVENTS,
        json_codec.encode({"number": number, "hash": block_hash, "timestamp": 1}),
        headers={
            wire_headers.BLOCK_NUMBER: str(number),
            wire_headers.BLOCK_HASH: block_hash,
        },
    )


@pytest.fixture
async def worker(connect_as: ConnectAs) -> AsyncGenerator[NatsConnection]:
    """Connect a worker that has published one block and serves replay requests."""
    connection = await connect_as("worker")
    await provision_streams(connection)
    await publish_block(connection, 1)
    service = RequestServer(connection, identities={}, max_requests=10)
    ReplayHandlers(EventLog(connection)).register(service)
    await service.start()
    yield connection
    await service.drain(10)


def client_of(server: NatsServer, **fields: Any) -> AsyncPylonClient:
    alice = {"identity_name": "alice", "identity_token": token_of("alice")}
    return AsyncPylonClient(AsyncConfig(address=server.url, **alice, **fields))


@asynccontextmanager
async def forbidden() -> AsyncGenerator[None]:
    with pytest.raises(FailureError) as caught:
        async with asyncio.timeout(HANGS_AFTER_S):
            yield
    assert caught.value.code is ErrorCode.FORBIDDEN


async def test_a_feed_without_permission_does_not_start(
    server: NatsServer, worker: NatsConnection, connect_as: ConnectAs
) -> None:
    await reload(server, authorization_without("alice", *EVENTS_SUBJECTS))
    reader = await connect_as("alice")
    async with forbidden(), EventFeed(reader, [BLOCK_EVENTS], event_log_via_worker(reader)):
        pass
    assert reader.is_connected


async def test_a_feed_ends_when_its_permission_is_revoked_and_others_continue(
    server: NatsServer, worker: NatsConnection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("alice")
    event_log = event_log_via_worker(reader)
    blocks = EventFeed(reader, [BLOCK_EVENTS], event_log)
    neurons = EventFeed(reader, [ALL_NEURONS_EVENTS], event_log)
    async with blocks, neurons:
        assert (await anext(blocks)).block.number == 1
        waiting = asyncio.create_task(anext(neurons))
        await reload(server, authorization_without("alice", BLOCK_EVENTS))
        async with forbidden():
            await anext(blocks)
        async with forbidden():
            await anext(blocks)
        assert not waiting.done()
        waiting.cancel()


async def test_a_denied_replay_of_a_feed_is_raised(
    worker: NatsConnection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("alice")

    async def not_for_alice(subject: str, after: object = None) -> FeedEvent | None:
        await reader.request("pylon.v1.identity.Bob.neurons.latest", timeout_s=600)
        return None

    async with EventFeed(reader, [BLOCK_EVENTS], not_for_alice) as feed, forbidden():
        await anext(feed)


async def test_clients_receive_an_error_for_a_forbidden_stream(
    server: NatsServer, worker: NatsConnection
) -> None:
    async with client_of(server) as client, asyncio.timeout(HANGS_AFTER_S):
        async with aclosing(client.open_access.blocks()) as blocks:
            assert (await anext(blocks)).number == 1
            await reload(server, authorization_without("alice", *EVENTS_SUBJECTS))
            with pytest.raises(PylonForbidden, match="alice"):
                await anext(blocks)
        async with aclosing(client.open_access.blocks()) as blocks:
            with pytest.raises(PylonForbidden, match="alice"):
                await anext(blocks)


async def test_without_its_inbox_a_user_gets_an_error_at_once_until_it_is_granted_again(
    server: NatsServer, worker: NatsConnection, connect_as: ConnectAs
) -> None:
    reader = await connect_as("alice")
    last = event_log_via_worker(reader)
    first = await last(BLOCK_EVENTS)
    await reload(server, authorization_without("alice", INBOX_OF_ALICE))
    await eventually(lambda: reader.counts.permission_violations == 1)
    subscriptions = len(reader.nats._subs)
    for violations in (2, 3):
        async with forbidden():
            await reader.request("pylon.v1.open.chain.events.block", timeout_s=600)
        assert reader.counts.permission_violations == violations
    assert len(reader.nats._subs) == subscriptions
    await reload(server, authorization_config(SETTINGS))
    assert await last(BLOCK_EVENTS) == first
    assert reader.counts.disconnects == 0


async def test_the_first_request_of_a_client_without_its_inbox_is_denied(
    server: NatsServer, worker: NatsConnection
) -> None:
    attempts: list[int] = []
    retry = ASYNC_DEFAULT_RETRIES.copy(before=lambda state: attempts.append(state.attempt_number))
    async with client_of(server, retry=retry) as client, asyncio.timeout(HANGS_AFTER_S):
        async with aclosing(client.open_access.blocks()) as blocks:
            await anext(blocks)
        await reload(server, authorization_without("alice", INBOX_OF_ALICE))
        attempts.clear()
        with pytest.raises(PylonForbidden):
            await client.open_access.get_latest_block_info()
    assert attempts == [1]


async def test_a_bridge_logs_denied_subscriptions_and_recovers(
    server: NatsServer,
    worker: NatsConnection,
    connect_as: ConnectAs,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge.event_buffers, "FORBIDDEN_RETRY_DELAY_S", 0.1)
    monkeypatch.setattr(bridge.event_buffers, "RETRY_DELAY_S", 0.0)
    connection = await connect_as("bridge")

    async def connected() -> NatsConnection:
        return connection

    def denials_logged() -> int:
        return caplog.text.count("Not permitted to read events of pylon.v1.event.block")

    def errors_logged() -> int:
        return [
            record.levelno for record in caplog.records if "Not permitted to read" in record.message
        ].count(logging.ERROR)

    received: list[int] = []

    def receive(events: Sequence[FeedEvent]) -> None:
        received.extend(event.block.number for event in events)

    following = asyncio.create_task(follow_subject(connected, BLOCK_EVENTS, receive))
    async with asyncio.timeout(HANGS_AFTER_S):
        await eventually(lambda: received == [1])
        with caplog.at_level(logging.DEBUG, logger="bridge.event_buffers"):
            await reload(server, authorization_without("bridge", *EVENTS_SUBJECTS))
            await eventually(lambda: denials_logged() >= 2)
        assert errors_logged() == 1
        await publish_block(worker, 2)
        assert received == [1]
        await reload(server, authorization_config(SETTINGS))
        await eventually(lambda: received == [1, 2])
    following.cancel()
