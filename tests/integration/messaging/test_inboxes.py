"""Inboxes on the wire: no part of an inbox can be derived from another one.

The names come from a private attribute of the NATS library's client. The tests check its use, so
that they fail with a version of the library that uses another attribute.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from nats.js import api
from nats.js.client import JetStreamContext
from pydantic import SecretStr

from pylon.nats_server.worker_user import worker_connection_options
from pylon_client.nats.inboxes import RANDOM_BYTES, InboxIds
from pylon_client.nats.nats_connection import NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.raw_nats import RawNats
from tests.support.product.deployment import WORKER_PASSWORD, ConnectAs, deployment_settings
from tests.support.product.eventually import eventually

RANDOM = r"[A-Za-z0-9_-]{22}"
NAMES = 2000
SHARED_MAX = 8
"""Characters of 22 that two random names may share: more have odds of less than 1 in 10^10."""


@asynccontextmanager
async def replies(server: NatsServer, *subjects: str) -> AsyncGenerator[list[str]]:
    """Collect the reply subjects of requests, in the order of arrival."""
    seen: list[str] = []

    def take(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
        seen.append(reply.decode())

    async with RawNats(server.url, "worker", WORKER_PASSWORD, take) as raw:
        for subject in subjects:
            raw.subscribe(subject)
        await raw.flush()
        yield seen


def share_nothing(names: list[str]) -> bool:
    return all(
        sum(one == other for one, other in zip(name, following, strict=True)) <= SHARED_MAX
        for name, following in pairwise(names)
    )


async def ask_of_nobody(connection: NatsConnection, subject: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await connection.nats.request(subject, timeout=60)


async def test_each_request_has_an_unpredictable_inbox(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    async with replies(server, "pylon.v1.open.>") as seen:
        alice, other = await connect_as("alice"), await connect_as("alice")
        for _ in range(4):
            await ask_of_nobody(alice, "pylon.v1.open.chain.x")
        await ask_of_nobody(other, "pylon.v1.open.chain.x")
        await eventually(lambda: len(seen) == 5)
    # The library appends 16 bits to the name of a request.
    found = [
        re.fullmatch(rf"_INBOX\.alice\.({RANDOM})\.({RANDOM})[0-9a-f]{{4}}", one) for one in seen
    ]
    connections = [one[1] for one in found if one]
    requests = [one[2] for one in found if one]
    assert len(requests) == 5
    assert len(set(connections[:4])) == 1
    assert share_nothing([connections[0], connections[4]])
    assert share_nothing([connections[0], *requests])


async def test_an_old_style_request_and_a_new_inbox_are_random_too(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    async with replies(server, "pylon.v1.open.>") as seen:
        alice = await connect_as("alice")
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await alice.nats.request("pylon.v1.open.chain.x", timeout=60, old_style=True)
        await eventually(lambda: len(seen) == 2)
    seen.append(alice.nats.new_inbox())
    names = [one.removeprefix("_INBOX.alice.") for one in seen]
    assert all(re.fullmatch(RANDOM, name) for name in names)
    assert share_nothing(names)


async def test_the_inboxes_of_pull_consumers_and_of_asynchronous_publishes_are_random(
    server: NatsServer, connect_as: ConnectAs
) -> None:
    worker = await connect_as("worker")
    context = JetStreamContext(worker.nats, timeout=60)
    await context.add_stream(name="PYLON_JOBS", subjects=["pylon.v1.job.>"])  # pyright: ignore[reportUnknownMemberType] -- the library's **params
    await context.add_consumer(  # pyright: ignore[reportUnknownMemberType] -- the same
        "PYLON_JOBS", api.ConsumerConfig(durable_name="x", ack_policy=api.AckPolicy.EXPLICIT)
    )
    pulls = [await context.pull_subscribe_bind(consumer="x", stream="PYLON_JOBS") for _ in range(3)]
    async with replies(server, "pylon.v1.event.>") as seen:
        for _ in range(2):
            await context.publish_async("pylon.v1.event.block", b"")
        await eventually(lambda: len(seen) == 2)
    fetched = [pull._deliver.removeprefix("_INBOX.worker.") for pull in pulls]
    assert all(re.fullmatch(RANDOM, name) for name in fetched)
    found = [
        re.fullmatch(rf"_INBOX\.worker\.({RANDOM})\.({RANDOM})[0-9a-f]{{4}}", one) for one in seen
    ]
    names = [name for one in found if one for name in one.groups()]
    assert len(names) == 4
    assert names[0] == names[2]
    assert share_nothing([*fetched, *names[:2], names[3]])
    # The fetch itself goes to where it was subscribed.
    await context.publish("pylon.v1.job.x", b"body")
    (message,) = await pulls[0].fetch(1, timeout=60)
    assert message.data == b"body"


async def test_a_worker_without_a_password_has_the_inboxes_of_workers(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        settings = deployment_settings(server.url)
        settings.nats_worker_password = SecretStr("")
        connection = await connect(worker_connection_options(settings, "test"))
        try:
            assert connection.user == "open"
            assert connection.nats.new_inbox().startswith("_INBOX.worker.")
        finally:
            await connection.close()


def test_inbox_names_share_no_substring() -> None:
    ids = InboxIds()
    names = [bytes(ids.next()).decode() for _ in range(NAMES)]
    assert len(set(names)) == NAMES
    assert all(re.fullmatch(RANDOM, name) for name in names)
    assert RANDOM_BYTES * 8 == 128
    assert share_nothing(names)
