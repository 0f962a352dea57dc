"""A fake NATS with scripted replies to the bridge, and the deployment of the bridge's tests."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx

from bridge.connection import NatsPort
from bridge.http_metrics import BridgeMetrics
from bridge.main import create_app
from bridge.memory.memory_reads import MemoryReads
from bridge.routes import operation_routes
from bridge.settings import BridgeSettings
from pylon_client.contract.operations import OPERATIONS, Operation
from pylon_client.contract.reads import LATEST_BLOCK, LATEST_NEURONS, NEURONS_AT
from pylon_client.contract.writes import PUT_WEIGHTS
from pylon_client.events.feed import FeedEvent
from pylon_client.nats.nats_reply import Reply
from tests.support.product.secret_texts import secret_of

if TYPE_CHECKING:
    from fastapi import FastAPI

OPEN_TOKEN = secret_of("open")
SN1_TOKEN = secret_of("sn1")
SN2_TOKEN = secret_of("sn2-in-token")
ENVIRONMENT = {
    "PYLON_IDENTITIES": json.dumps(["sn1", "sn2"]),
    "PYLON_ID_SN1_NETUID": "1",
    "PYLON_ID_SN1_TOKEN": SN1_TOKEN,
    "PYLON_ID_SN2_NETUID": "2",
    "PYLON_ID_SN2_TOKEN": SN2_TOKEN,
    "PYLON_OPEN_ACCESS_TOKEN": OPEN_TOKEN,
}
"""Two identities, and a token for open access."""
FEW_OPERATIONS: Sequence[Operation[Any, Any]] = (
    LATEST_BLOCK,
    LATEST_NEURONS,
    NEURONS_AT,
    PUT_WEIGHTS,
)
"""Operations of the apps that are not shared: an app of all takes ten times as long to make."""


@dataclass(frozen=True)
class Asked:
    subject: str
    body: bytes
    headers: Mapping[str, str]
    timeout_s: float


@dataclass
class ScriptedNats:
    """A NATS that replies with the result of `answer`, and stores the requests."""

    answer: Callable[[Asked], bytes] = lambda _asked: b'{"answer":true}'
    is_connected: bool = True
    callbacks: dict[str, Callable[[bytes], None]] = field(
        default_factory=dict[str, Callable[[bytes], None]]
    )
    asked: list[Asked] = field(default_factory=list)
    published: asyncio.Queue[FeedEvent] = field(default_factory=asyncio.Queue)
    reply_headers: dict[str, str] = field(default_factory=dict)

    async def follow(self, subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        """Pass the events of one subject that a test puts into `published`."""
        while True:
            event = await self.published.get()
            assert event.subject == subject, "one stream at a time"
            receive([event])

    @asynccontextmanager
    async def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AsyncGenerator[None]:
        """Store `callback` in `callbacks` while the subscription lasts."""
        self.callbacks[subject] = callback
        try:
            yield
        finally:
            del self.callbacks[subject]

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        self.asked.append(Asked(subject, body, headers, timeout_s))
        return Reply(self.answer(self.asked[-1]), self.reply_headers)


@dataclass
class _Relay:
    """Forwards requests to the NATS of the present test."""

    nats: ScriptedNats = field(default_factory=ScriptedNats)

    @property
    def is_connected(self) -> bool:
        return self.nats.is_connected

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        return await self.nats.request(subject, body, headers=headers, timeout_s=timeout_s)

    async def follow(self, subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        await self.nats.follow(subject, receive)

    def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AbstractAsyncContextManager[None]:
        return self.nats.subscribe(subject, callback)


def bridge_app(
    nats: NatsPort,
    settings: BridgeSettings | None = None,
    operations: Sequence[Operation[Any, Any]] = FEW_OPERATIONS,
    memory: MemoryReads | None = None,
    metrics: BridgeMetrics | None = None,
) -> "FastAPI":
    """Return a new bridge app with some operations."""
    with mock.patch.object(operation_routes, "OPERATIONS", operations):
        return create_app(settings or BridgeSettings(), nats, metrics, memory=memory)


class SharedBridge:
    """One app for many tests, because creating an app takes longer than most tests.

    Tests share its state, such as compressed bodies and streams. It has the settings of the first
    test.
    """

    def __init__(self, operations: Sequence[Operation[Any, Any]] = FEW_OPERATIONS) -> None:
        self._operations = operations
        self._relay = _Relay()
        self._app: FastAPI | None = None

    def client(
        self, nats: ScriptedNats, settings: BridgeSettings | None = None
    ) -> httpx.AsyncClient:
        """Return a client of the app, which sends its requests to `nats` from now on."""
        if self._app is None:
            self._app = bridge_app(self._relay, settings, self._operations)
        self._relay.nats = nats
        transport = httpx.ASGITransport(self._app)
        return httpx.AsyncClient(transport=transport, base_url="http://bridge")


_SHARED = SharedBridge(OPERATIONS)


def shared_bridge_client(nats: ScriptedNats) -> httpx.AsyncClient:
    """Return a client of the app that tests share unless they need a separate app."""
    return _SHARED.client(nats)


def bridge_client(nats: ScriptedNats, settings: BridgeSettings | None = None) -> httpx.AsyncClient:
    """Return a client of a new bridge app in this process, which has few operations."""
    app = bridge_app(nats, settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge")
