"""Replies that an attacker forges, or makes a worker send, instead of the correct ones."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.nuid import BASE, DIGITS, NUID, PREFIX_LENGTH, TOTAL_LENGTH

from pylon.nats_server.permissions import authorization_config
from pylon.rpc.calls import ServiceCall
from pylon.rpc.request_server import RequestServer
from pylon_client.contract.operations import LATEST_BLOCK, OPERATIONS_BY_NAME
from pylon_client.contract.reads import LATEST_NEURONS
from pylon_client.contract.subjects import BLOCK_EVENTS
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_client.v1 import JobState
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.garbled_jetstream import GARBAGE
from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.raw_nats import RawNats, header_block
from tests.support.nats.replicas import Nats
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import comes_true, eventually
from tests.support.product.job_deployment import (
    SUBNETS,
    Deployment,
    ended,
    make_wallets,
    weights_of,
)
from tests.support.product.secret_texts import secret_of
from tests.support.product.worker_process import READY, WorkerProcess

UNKNOWN_OPERATION = b"pylon.v1.open.chain.x"
FORGED_EACH = 20
"""Requests that the attacker sends for each reply subject that it learns."""
EVENTS_ATTACKED = 30
LATEST = f"pylon.v1.open.chain.{LATEST_BLOCK.name}"
SLOW = f"pylon.v1.open.1.{LATEST_NEURONS.name}"
METRICS_TOKEN = secret_of("metrics")
SUFFIXES = 1 << 16
"""Number of suffixes that the NATS library can append to a request's inbox: 16 bits."""


@dataclass
class Attacked:
    """A worker of the role `all`, and the addresses that an attacker can use."""

    deployment: Deployment
    nats: Nats
    worker: WorkerProcess
    http: httpx.AsyncClient

    @property
    def attackers_url(self) -> str:
        """Return the URL of the last server; the worker prefers the first one."""
        return self.nats.urls[-1]

    @asynccontextmanager
    async def reader(self) -> AsyncGenerator[NatsConnection]:
        """Connect as an honest caller without credentials."""
        connection = await connect(ConnectionOptions(self.nats.urls))
        try:
            yield connection
        finally:
            await connection.close()

    async def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        text = (await self.http.get("/metrics", headers=headers)).text
        found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    async def inboxes(self) -> list[str]:
        """Return the inbox subscriptions of the worker, from the servers' monitoring."""
        connections: list[dict[str, Any]] = []
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            for ports in self.deployment.folder.glob("nats*/*.ports"):
                (url, *_) = json.loads(ports.read_text())["monitoring"]
                connections += (await http.get(f"{url}/connz?subs=1")).json()["connections"]
        return [
            subject
            for connection in connections
            if connection.get("name") == "pylon worker"
            for subject in connection.get("subscriptions_list", [])
            if subject.startswith("_INBOX.worker.")
        ]

    async def works(self) -> None:
        """Assert that the same process publishes blocks, serves reads and executes jobs."""
        async with self.reader() as reader:
            async with EventFeed(reader, [BLOCK_EVENTS], event_log_via_worker(reader)) as feed:
                first = await anext(feed)
                assert (await anext(feed)).block.number == first.block.number + 1
            await reader.request(LATEST, timeout_s=60)
        async with self.deployment.identity("sn2") as identity:
            weights = weights_of(self.deployment.devnet, 2, 3)
            job = await ended(identity, (await identity.put_weights(weights)).job_id)
            assert job.state is JobState.CONFIRMED
        assert self.worker.process.returncode is None
        assert self.worker.log.count(READY) == 1
        assert "Traceback" not in self.worker.log
        assert await self.metric("pylon_worker_part_restarts_total") == 0


@pytest.fixture(params=[1, 3], ids=["one-server", "three-servers"])
async def attacked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Attacked]:
    options = DevnetOptions(port=0, block_time_s=0.2, tempo_blocks=2000, active=False)
    rules = authorization_config(deployment_settings(identities=SUBNETS))
    shown = {
        "PYLON_HEALTH_PORT": "0",
        "PYLON_METRICS_TOKEN": METRICS_TOKEN,
        "PYLON_TRACKED_NETUIDS": "[1]",
    }
    kind = NatsServer if request.param == 1 else NatsCluster
    async with (
        Devnet(options) as devnet,
        kind(tmp_path, rules, more='http: "127.0.0.1:-1"') as servers,
    ):
        make_wallets(tmp_path, devnet)
        nats = Nats(servers)
        deployment = Deployment(tmp_path, nats, devnet)
        async with deployment.worker(**shown) as worker:
            found = re.search(r"Health and metrics on (http://\S+)", worker.log)
            assert found is not None
            async with httpx.AsyncClient(base_url=found[1], trust_env=False, timeout=60) as http:
                yield Attacked(deployment, nats, worker, http)


@dataclass
class Listener:
    """Collects the reply subjects of received messages.

    Attributes:
        replies: reply subjects in the order of arrival.
    """

    replies: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue[bytes])

    def receive(self, _subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
        if reply:
            self.replies.put_nowait(reply)


async def test_a_worker_does_not_reply_to_its_inbox_for_acknowledgements(
    attacked: Attacked,
) -> None:
    listener = Listener()
    refused = "pylon_service_requests_rejected_total"
    before = await attacked.metric(refused)
    async with (
        attacked.reader() as reader,
        RawNats(attacked.attackers_url, None, "", listener.receive) as attacker,
    ):
        attacker.subscribe("pylon.v1.event.block")
        attacker.subscribe("pylon.v1.event.neurons.*")
        await attacker.flush()
        for _ in range(EVENTS_ATTACKED):
            reply = await listener.replies.get()
            for _ in range(FORGED_EACH):
                attacker.publish(UNKNOWN_OPERATION, reply=reply)
            await attacker.flush()
            await reader.request(LATEST, timeout_s=60)
        assert attacker.errors == []

    async def are_refused() -> bool:
        return await attacked.metric(refused) - before >= EVENTS_ATTACKED * FORGED_EACH

    await comes_true(are_refused)
    await attacked.works()


async def test_a_worker_does_not_reply_to_its_inbox_for_jobs(
    attacked: Attacked,
) -> None:
    async with RawNats(attacked.attackers_url, None, "", Listener().receive) as attacker:
        for _ in range(5):
            for inbox in await attacked.inboxes():
                # Request inboxes are wildcards: use any name below them.
                for reply in (inbox, inbox.replace("*", "x")):
                    for subject in (UNKNOWN_OPERATION, LATEST.encode()):
                        attacker.publish(subject, reply=reply.encode())
            await attacker.flush()
    await attacked.works()


async def test_invalid_replies_of_a_broken_worker_stop_no_other_worker(attacked: Attacked) -> None:
    listener = Listener()
    garbage = cycle(GARBAGE)
    statuses = cycle((b"", b"404 x", b"100", b"409", b"x", b"503"))

    def headers() -> bytes:
        status = next(statuses)
        return header_block((b"Status", status)) if status else b""

    async with RawNats(
        attacked.attackers_url, "worker", WORKER_PASSWORD, listener.receive
    ) as broken:
        broken.subscribe("pylon.v1.event.>")
        await broken.flush()
        for _ in range(EVENTS_ATTACKED):
            # Often before JetStream's reply.
            inbox = await listener.replies.get()
            for _ in range(FORGED_EACH):
                broken.publish(inbox, next(garbage), headers=headers())
            await broken.flush()
        for inbox in await attacked.inboxes():
            for body in GARBAGE:
                subject = inbox.replace("*", "x").encode()
                broken.publish(subject, body, headers=headers())
                broken.publish(subject, b"a" * 26, reply=b"$JS.ACK.x.y")
                broken.publish(subject, b"a" * 26, reply=b"pylon.v1.event.block")
        await broken.flush()
    await attacked.works()


def predicted(names: list[str]) -> str:
    """Return the next name of the NATS library's counter after two names."""
    first, second = (_number(name[PREFIX_LENGTH:TOTAL_LENGTH]) for name in names)
    number, text = second + (second - first), bytearray()
    for _ in range(TOTAL_LENGTH - PREFIX_LENGTH):
        number, digit = divmod(number, BASE)
        text.insert(0, DIGITS[digit])
    return names[1][:PREFIX_LENGTH] + text.decode()


def _number(text: str) -> int:
    number = 0
    for digit in text.encode():
        number = number * BASE + max(DIGITS.find(digit), 0)
    return number


def test_the_attack_predicts_the_librarys_inbox_names() -> None:
    ids = NUID()
    names = [ids.next().decode() for _ in range(3)]
    assert predicted(names[:2]) == names[2]


@asynccontextmanager
async def slow_service(
    connection: NatsConnection, gate: asyncio.Event
) -> AsyncGenerator[RequestServer]:
    """Serve all operations at once, except one that waits for the gate."""

    async def at_once(_: ServiceCall) -> bytes:
        return b"{}"

    async def slow(_: ServiceCall) -> bytes:
        await gate.wait()
        return b"right"

    handlers = dict.fromkeys(OPERATIONS_BY_NAME, at_once) | {LATEST_NEURONS.name: slow}
    service = RequestServer(connection, handlers, identities={}, max_requests=SUFFIXES)
    await service.start()
    try:
        yield service
    finally:
        await service.drain(0)


async def test_no_caller_can_answer_the_slow_request_of_another_anonymous_caller(
    tmp_path: Path,
) -> None:
    seen: list[str] = []
    gate = asyncio.Event()
    rules = authorization_config(deployment_settings())
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer(tmp_path, rules))

        async def connected(user: str | None, password: str = "") -> NatsConnection:
            connection = await connect(ConnectionOptions((server.url,), user, password))
            stack.push_async_callback(connection.close)
            return connection

        worker = await connected("worker", WORKER_PASSWORD)
        service = await stack.enter_async_context(slow_service(worker, gate))
        victim, witness = await connected(None), await connected(None)
        listening = RawNats(server.url, None, "", lambda subject, *_: seen.append(subject.decode()))
        attacker = await stack.enter_async_context(listening)
        # Users of the same name receive each other's replies: the replies received prove nothing.
        attacker.subscribe("_INBOX.open.>")
        await attacker.flush()
        for _ in range(2):
            await victim.request(LATEST, timeout_s=60)
        await eventually(lambda: len(seen) == 2)
        prefix = seen[0].rpartition(".")[0]
        name = predicted([one.rpartition(".")[2] for one in seen])
        slow = asyncio.create_task(victim.request(SLOW, timeout_s=600))
        await eventually(lambda: service.in_progress == 1)
        for suffix in range(SUFFIXES):
            attacker.publish(LATEST.encode(), reply=f"{prefix}.{name}{suffix:04x}".encode())
            if suffix % 500 == 0:
                await attacker.drain()
                await witness.request(LATEST, timeout_s=60)
        await attacker.flush()
        await witness.request(LATEST, timeout_s=60)
        assert not slow.done()
        gate.set()
        assert (await slow).body == b"right"
