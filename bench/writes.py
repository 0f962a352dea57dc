"""Accepted writes against bare durable publishes of the same bytes, on the same NATS server."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

from nats.js.api import StreamConfig
from nats.js.client import JetStreamContext

from bench.pairs import Ask, Pair, paired
from pylon_client.contract import json_codec
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName
from pylon_client.contract.writes import PUT_WEIGHTS
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_devnet.dev_wallets import write_wallet
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import token_of
from tests.support.product.fake_signers import address
from tests.support.product.job_deployment import signing_settings
from tests.support.product.worker_process import READY, worker_process

CALLERS: Final = 32
"""Number of identities, each of which writes its own weights."""
ROUNDS: Final = 9
WRITES_PER_ROUND: Final = 64
"""Writes of all callers together."""
WEIGHTS: Final = 256
"""Weights of a write: those of a full subnet."""
NETUID: Final = 1
BLOCK_TIME_S: Final = 2.0
TIMEOUT_S: Final = 60.0

_STREAM: Final = "bench_writes"


async def measure(folder: Path) -> list[tuple[str, Pair]]:
    """Compare accepted writes with bare durable publishes, for one caller and for many.

    The hotkeys of the identities are not registered, so that no job is submitted. Each write
    supersedes the one before, which has been accepted and waits.

    Returns:
        The time per accepted write and per publish, with the name of each measurement.
    """
    async with _callers(folder) as (ours, bare):
        return [
            (
                f"accepted writes / durable publishes, {callers} callers",
                await _compare(ours[:callers], bare[:callers]),
            )
            for callers in (1, CALLERS)
        ]


async def _compare(ours: list[Ask], bare: list[Ask]) -> Pair:
    rounds = [(await _time_per_write(ours), await _time_per_write(bare)) for _ in range(ROUNDS + 1)]
    return paired(rounds[1:])  # the first round is to warm up


async def _time_per_write(asks: list[Ask]) -> float:
    each = max(WRITES_PER_ROUND // len(asks), 1)

    async def repeat(ask: Ask) -> None:
        for _ in range(each):
            await ask()

    began_s = time.perf_counter()
    await asyncio.gather(*map(repeat, asks))
    return (time.perf_counter() - began_s) / (each * len(asks))


@asynccontextmanager
async def _callers(folder: Path) -> AsyncGenerator[tuple[list[Ask], list[Ask]]]:
    names = {f"v{number}": NETUID for number in range(CALLERS)}
    for name in names:
        write_wallet(folder / "wallets", name, "default")
    settings = signing_settings(folder / "wallets", names, {name: name for name in names})
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(NatsServer(folder))
        devnet = await stack.enter_async_context(DevnetProcess(folder, block_time_s=BLOCK_TIME_S))
        worker = await stack.enter_async_context(
            worker_process(folder, nats.url, devnet.url, **settings)
        )
        await worker.logs(READY)
        ours: list[Ask] = []
        bare: list[Ask] = []
        contents = _contents()
        for name in map(IdentityName, names):
            connection = await connect(
                ConnectionOptions((nats.url,), user=name, password=token_of(name))
            )
            stack.push_async_callback(connection.close)
            if not bare:
                await _add_stream(connection)
            ours.append(_write(connection, name, contents))
            bare.append(_publish(connection, name, contents))
        yield ours, bare


def _contents() -> Callable[[], bytes]:
    """Return a function that returns other weights of a full subnet at each call."""
    hotkeys = [address(number) for number in range(1, WEIGHTS + 1)]
    numbers = count(1)

    def content() -> bytes:
        weights = dict.fromkeys(hotkeys, 1.0)
        weights[hotkeys[0]] = float(next(numbers))
        return json_codec.encode({"weights": weights})

    return content


def _write(connection: NatsConnection, name: IdentityName, content: Callable[[], bytes]) -> Ask:
    subject = str(IdentitySubject(name, PUT_WEIGHTS.name))

    async def write() -> object:
        return await connection.request(subject, content(), timeout_s=TIMEOUT_S)

    return write


async def _add_stream(connection: NatsConnection) -> None:
    config = StreamConfig(name=_STREAM, subjects=[f"{_STREAM}.>"], max_msgs_per_subject=1)
    await JetStreamContext(connection.nats, timeout=TIMEOUT_S).add_stream(config)  # pyright: ignore[reportUnknownMemberType] -- the library leaves its **params open


def _publish(connection: NatsConnection, name: str, content: Callable[[], bytes]) -> Ask:
    stream = JetStreamContext(connection.nats, timeout=TIMEOUT_S)

    async def publish() -> object:
        return await stream.publish(f"{_STREAM}.{name}", content())

    return publish
