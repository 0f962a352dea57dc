"""Callers that send permitted requests at a steady pace, and record the results."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import httpx

from pylon_client.contract.failures import FailureError
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.product.attack_figures import AttackFigures
from tests.support.product.deployment import token_of
from tests.support.product.self_hosted_product import NETUIDS, SelfHostedProduct

HONEST: Final = "sn2"
READ_EVERY_S: Final = 0.2
WRITE_EVERY_S: Final = 2.0
LATEST: Final = "pylon.v1.open.chain.block.latest"
NEURONS: Final = "pylon.v1.open.1.neurons.latest"
OWN_NEURONS: Final = str(IdentitySubject(IdentityName(HONEST), "neurons.latest"))
OWN: Final = f"/api/v1/identity/{HONEST}/subnet/{NETUIDS[HONEST]}"


class HonestCallers:
    """Reads over REST and NATS, writes of one identity, and a listener to blocks.

    Args:
        product: receives the requests.
        figures: results by phase.
        hotkeys: hotkeys of neurons of the identity's subnet.
        timeout_s: response timeout; a timeout counts as a failure.

    Attributes:
        phase: the name under which results are recorded.
        newest: the block of the listener's last event.
    """

    def __init__(
        self,
        product: SelfHostedProduct,
        figures: AttackFigures,
        hotkeys: list[str],
        *,
        timeout_s: float,
    ) -> None:
        self.phase = "quiet"
        self.newest = 0
        self._product = product
        self._figures = figures
        self._hotkeys = hotkeys
        self._timeout_s = timeout_s
        self._written = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Send requests within the block."""
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(self._http())
            opened = await self._connected(stack, None)
            own = await self._connected(stack, HONEST)
            latest = "block/latest/neurons"
            rest = {
                "block": "/api/v1/block/latest",
                "neurons": f"/api/v1/subnet/1/{latest}",
                "recent": "/api/v1/subnet/1/block/recent/neurons",
                "identity": f"{OWN}/{latest}",
            }
            subjects = {"block": (opened, LATEST), "neurons": (opened, NEURONS)}
            subjects["identity"] = (own, OWN_NEURONS)
            work = [
                *(
                    self._repeat(f"read REST {name}", READ_EVERY_S, partial(self._get, http, path))
                    for name, path in rest.items()
                ),
                *(
                    self._repeat(
                        f"read NATS {name}",
                        READ_EVERY_S,
                        partial(connection.request, subject, timeout_s=self._timeout_s),
                    )
                    for name, (connection, subject) in subjects.items()
                ),
                self._repeat("read REST new connection", 1.0, self._get_once),
                self._repeat("write REST", WRITE_EVERY_S, lambda: self._write(http)),
                self._listen(http),
                self._measure_lag(),
            ]
            tasks = [asyncio.create_task(one) for one in work]
            try:
                yield
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._product.url,
            headers={"Authorization": f"Bearer {token_of(HONEST)}"},
            timeout=self._timeout_s,
            trust_env=False,
        )

    async def _connected(self, stack: AsyncExitStack, user: str | None) -> NatsConnection:
        password = "" if user is None else token_of(user)
        connection = await connect(
            ConnectionOptions((self._product.nats_url,), user, password, "honest")
        )
        stack.push_async_callback(connection.close)
        return connection

    async def _repeat(
        self, kind: str, every_s: float, work: Callable[[], Awaitable[object]]
    ) -> None:
        while True:
            phase = self._figures.phases[self.phase]
            began_s = time.monotonic()
            try:
                await work()
            except (FailureError, httpx.HTTPError, OSError, RefusedError) as error:
                why = str(error.code) if isinstance(error, FailureError) else str(error)
                phase.failures[kind, why or type(error).__name__] += 1
            else:
                phase.latencies_s[kind].append(time.monotonic() - began_s)
            await asyncio.sleep(max(0.0, every_s - (time.monotonic() - began_s)))

    async def _get(self, http: httpx.AsyncClient, path: str) -> None:
        _require_success(await http.get(path))

    async def _get_once(self) -> None:
        async with self._http() as http:
            await self._get(http, "/api/v1/block/latest")

    async def _write(self, http: httpx.AsyncClient) -> None:
        self._written += 1
        weights = {self._hotkeys[0]: 1.0, self._hotkeys[1]: float(self._written)}
        put = await http.put(f"{OWN}/weights", json={"weights": weights})
        _require_success(put)
        _require_success(await http.get(f"{OWN}/jobs/{put.json()['job_id']}"))

    async def _listen(self, http: httpx.AsyncClient) -> None:
        while True:
            headers = {"Last-Event-ID": str(self.newest)} if self.newest else {}
            try:
                async with http.stream("GET", "/api/v1/block/stream", headers=headers) as stream:
                    _require_success(stream)
                    async for line in stream.aiter_lines():
                        if line.startswith("id: "):
                            self._take(int(line.removeprefix("id: ")))
            except (httpx.HTTPError, RefusedError) as error:
                self._figures.phases[self.phase].failures["stream", str(error)] += 1
            await asyncio.sleep(0.5)

    def _take(self, number: int) -> None:
        if self.newest and number > self.newest + 1:
            self._figures.missed_blocks += number - self.newest - 1
        self.newest = number

    async def _measure_lag(self) -> None:
        while True:
            await asyncio.sleep(1)
            best = await self._product.devnet.best_number()
            if self.newest:
                self._figures.phases[self.phase].lags.append(max(0, best - self.newest))


class RefusedError(Exception):
    """A response that is not a success."""


def _require_success(response: httpx.Response) -> None:
    if not response.is_success:
        raise RefusedError(f"HTTP {response.status_code}")
