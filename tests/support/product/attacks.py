"""Attacks on a running product; each attack runs until it is cancelled."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import httpx

from pylon.nats_server.server_limits import MAX_SUBSCRIPTIONS
from pylon_client.contract import json_codec
from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName
from pylon_client.contract.writes import PUT_WEIGHTS, SET_COMMITMENT
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.raw_nats import RawNats
from tests.support.product.deployment import token_of
from tests.support.product.flood import flood
from tests.support.product.self_hosted_product import NETUIDS, SelfHostedProduct

LATEST: Final = b"pylon.v1.open.chain.block.latest"
UNKNOWN: Final = b"pylon.v1.open.chain.x"
OLD_NEURONS: Final = "pylon.v1.open.2.neurons.at"
BLOCKS: Final = "/api/v1/block/stream"
HALF_SENT: Final = b"GET /api/v1/block/latest HTTP/1.1\r\nHost: bridge\r\nX-More: "
WRITER: Final = "sn1"
"""The identity that attacks with its own token."""
HISTORY: Final = "sn12"
"""The identity that creates jobs without end."""
FALSE_NUMBERS: Final[tuple[Any, ...]] = (
    *(2**32 - 1, "0x" + "f" * 4_000, 2, 0, -1, 2**64),
    *("not a number", "", None, 7.5, True, [1], {"number": "0x1"}),
)
SLOW_S: Final = 1.0


@dataclass
class Attacker:
    """The means of an attack: the addresses, the tokens of two identities, and some hotkeys.

    Args:
        product: the target.
        hotkeys: of neurons of subnet 12.
    """

    product: SelfHostedProduct
    hotkeys: list[str]

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    @property
    def by_name(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Return the attacks in their order."""
        return {
            "forged replies": self.forged_replies,
            "guessed inboxes": self.guessed_inboxes,
            "slow readers": self.slow_readers,
            "subscriptions": self.subscriptions,
            "half-sent heads": self.half_sent_heads,
            "listeners": self.listeners,
            "waiting commitments": self.waiting_commitments,
            "puts of one job queue": self.puts_of_one_job_queue,
            "lists of jobs": self.lists_of_jobs,
            "lying heads": self.lying_heads,
            "slow chain": self.slow_chain,
            # Last: replies to requests of a flood may come long after it, or never.
            "flood over HTTP": self.http_flood,
            "flood over NATS": self.nats_flood,
        }

    # Over NATS.

    async def forged_replies(self) -> None:
        """Make the worker reply to the inboxes on which it waits for JetStream."""
        replies: asyncio.Queue[bytes] = asyncio.Queue()

        def on_message(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
            if reply:
                replies.put_nowait(reply)

        async with RawNats(self.product.nats_url, None, "", on_message) as attacker:
            attacker.subscribe("pylon.v1.event.block")
            attacker.subscribe("pylon.v1.event.neurons.*")
            while True:
                reply = await replies.get()
                for _ in range(20):
                    attacker.publish(UNKNOWN, reply=reply)
                await attacker.flush()

    async def guessed_inboxes(self) -> None:
        """Make the worker reply to guessed inboxes of other callers: a thousand per second."""
        seen: list[bytes] = []
        listening = RawNats(
            self.product.nats_url, None, "", lambda subject, *_: seen.append(subject)
        )
        async with listening as attacker:
            attacker.subscribe("_INBOX.open.>")
            while True:
                for subject in seen[-10:]:
                    for suffix in range(10):
                        guess = subject[:-4] + b"%04x" % suffix
                        attacker.publish(LATEST, reply=guess)
                seen.clear()
                await attacker.flush()
                await asyncio.sleep(0.1)

    async def nats_flood(self) -> None:
        """Publish requests as fast as the server reads them."""
        while True:
            with contextlib.suppress(AssertionError):  # the server may have ended its connection
                async with flood(self.product.nats_url):
                    await asyncio.sleep(1)

    async def slow_readers(self) -> None:
        """Subscribe to everything, send half a message, and read nothing."""
        async with AsyncExitStack() as stack:
            for _ in range(30):
                await self._silent(stack)
            await asyncio.Event().wait()

    async def _silent(self, stack: AsyncExitStack) -> None:
        url = httpx.URL(self.product.nats_url)
        reader, writer = await asyncio.open_connection(url.host, url.port, limit=1)
        stack.callback(_abort, writer)
        writer.write(
            b'CONNECT {"verbose":false}\r\nSUB _INBOX.open.> 1\r\nSUB pylon.v1.event.block 2\r\n'
            b"SUB pylon.v1.event.neurons.* 3\r\nPUB pylon.v1.open.1.x 1000000\r\nx"
        )
        await writer.drain()
        reader._transport.pause_reading()  # pyright: ignore -- a reader that does not read

    async def subscriptions(self) -> None:
        """Subscribe more often than is allowed, on many connections."""
        async with AsyncExitStack() as stack:
            for attacker in range(20):
                raw = await stack.enter_async_context(
                    RawNats(self.product.nats_url, None, "", lambda *_: None)
                )
                for number in range(MAX_SUBSCRIPTIONS + 100):
                    tokens = (f"{attacker}-{number}-{token}".ljust(110, "x") for token in range(8))
                    raw.subscribe(f"_INBOX.open.{'.'.join(tokens)}")
                await raw.flush()
                await asyncio.sleep(0)
            await asyncio.Event().wait()

    async def waiting_commitments(self) -> None:
        """Send more writes that wait for the chain than one identity may have."""
        body = json_codec.encode({"commitment": "0x0102"})
        subject = str(IdentitySubject(IdentityName(WRITER), SET_COMMITMENT.name))
        async with AsyncExitStack() as stack:
            connection = await self._connected(stack, WRITER)
            while True:
                async with asyncio.TaskGroup() as group:
                    for _ in range(300):
                        group.create_task(_ignoring(connection.request(subject, body, None, 250)))

    async def puts_of_one_job_queue(self) -> None:
        """Put distinct weights of one identity concurrently, again and again."""
        async with AsyncExitStack() as stack:
            connection = await self._connected(stack, HISTORY)
            subject = str(IdentitySubject(IdentityName(HISTORY), PUT_WEIGHTS.name))
            while True:
                async with asyncio.TaskGroup() as group:
                    for _ in range(100):
                        weights = {
                            self.hotkeys[0]: 1.0,
                            self.hotkeys[1]: float(next(self._numbers)),
                        }
                        body = json_codec.encode({"weights": weights})
                        group.create_task(_ignoring(connection.request(subject, body, None, 250)))

    async def _connected(self, stack: AsyncExitStack, user: str) -> NatsConnection:
        options = ConnectionOptions((self.product.nats_url,), user, token_of(user))
        connection = await connect(options)
        stack.push_async_callback(connection.close)
        return connection

    # Over HTTP.

    def _http(self, *, user: str | None = None) -> httpx.AsyncClient:
        headers = {} if user is None else {"Authorization": f"Bearer {token_of(user)}"}
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(
            base_url=self.product.url,
            headers=headers,
            limits=limits,
            timeout=300,
            trust_env=False,
        )

    async def http_flood(self) -> None:
        """Send reads as fast as the bridge responds, over many connections."""
        async with self._http() as http, asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(_again(lambda: http.get("/api/v1/subnet/1/block/recent/neurons")))

    async def half_sent_heads(self) -> None:
        """Open connections that send half of a request's head; replace each that is closed."""
        async with asyncio.TaskGroup() as group:
            for _ in range(300):
                group.create_task(_again(self._half_sent))

    async def _half_sent(self) -> None:
        url = httpx.URL(self.product.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            writer.write(HALF_SENT)
            await reader.read(-1)
        finally:
            writer.transport.abort()

    async def listeners(self) -> None:
        """Open streams without reading them."""
        url = httpx.URL(self.product.url)
        request = f"GET {BLOCKS} HTTP/1.1\r\nHost: bridge\r\n\r\n".encode()
        async with AsyncExitStack() as stack:
            for _ in range(300):
                reader, writer = await asyncio.open_connection(url.host, url.port, limit=1)
                stack.callback(_abort, writer)
                writer.write(request)
                reader._transport.pause_reading()  # pyright: ignore -- a reader that does not read
            await asyncio.Event().wait()

    async def lists_of_jobs(self) -> None:
        """List the jobs of an identity with very many jobs."""
        path = f"/api/v1/identity/{HISTORY}/subnet/{NETUIDS[HISTORY]}/jobs"
        async with self._http(user=HISTORY) as http, asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(_again(lambda: http.get(path, params={"limit": 1000})))

    # From the node.

    async def lying_heads(self) -> None:
        """Announce false heads, and return false headers."""
        for number in itertools.cycle(FALSE_NUMBERS):
            for control in ("/announce-head", "/falsify-headers"):
                await self.product.devnet.control("POST", control, number=number, times=1)
                await asyncio.sleep(0.1)

    async def slow_chain(self) -> None:
        """Delay every response of the node, while anonymous callers request many blocks."""
        devnet = self.product.devnet
        found: dict[str, Any] = await devnet.control("GET", "/requests/counts")
        methods = sorted({name.partition(":")[0] for name in found})
        try:
            for method in methods:
                await devnet.control("POST", "/delay-method", method=method, seconds=SLOW_S)
            async with AsyncExitStack() as stack:
                options = ConnectionOptions((self.product.nats_url,))
                connection = await connect(options)
                stack.push_async_callback(connection.close)
                group = await stack.enter_async_context(asyncio.TaskGroup())
                for first in range(100):
                    numbers = itertools.cycle(range(first, first + 50))
                    group.create_task(_again(lambda numbers=numbers: _ask_old(connection, numbers)))
        finally:
            for method in methods:
                await devnet.control("POST", "/delay-method", method=method, seconds=0)


async def _ask_old(connection: NatsConnection, numbers: "itertools.cycle[int]") -> None:
    body = json_codec.encode({"block_number": next(numbers)})
    await connection.request(OLD_NEURONS, body, None, 20)


async def _ignoring(work: Awaitable[object]) -> None:
    """Await something that may fail: an attacker continues after errors."""
    with contextlib.suppress(FailureError, httpx.HTTPError, OSError):
        await work


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection; the argument keeps it open until then."""
    writer.transport.abort()


async def _again(work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await _ignoring(work())
        await asyncio.sleep(0.01)
