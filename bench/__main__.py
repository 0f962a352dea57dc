"""`python -m bench [devnet | import]`: measure, and print one line for each ratio."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench import client_import, devnet
from bench.baselines import ECHO_SUBJECT
from bench.deployment import NETUID, NEURONS_PATH, Deployment, deployment
from bench.keep_alive import KeepAlive
from bench.pairs import Ask, Pair, compare, paired
from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.subtensor_reader import SubtensorReader
from pylon_client.contract import json_codec
from pylon_client.contract.subjects import NeuronsEventSubject, OpenSubject
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.events.feed import EventFeed, event_log_via_worker
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect

AT_ONCE: Final = 16
BLOCKS: Final = 12
CHAIN_TIMEOUT_S: Final = 30.0
FETCH: Final = "state_call:NeuronInfoRuntimeApi_get_neurons_lite"


async def measure_rest(running: Deployment, at_once: int) -> Pair:
    """Compare the latest neurons over REST with the same bytes from a bare uvicorn."""
    async with AsyncExitStack() as stack:

        async def asks(url: str) -> list[Ask]:
            clients = [KeepAlive(url, NEURONS_PATH) for _ in range(at_once)]
            return [(await stack.enter_async_context(client)).get for client in clients]

        ours, bare = await asks(running.bridge_url), await asks(running.bare_url)
        return await compare(ours, bare, asks_per_round=10 * at_once)


async def measure_nats(connection: NatsConnection, at_once: int) -> Pair:
    """Compare the latest neurons over NATS with the same bytes from a bare responder."""
    subject = str(OpenSubject(NetUid(NETUID), "neurons.latest"))

    async def ours() -> object:
        return await connection.nats.request(subject, b"", timeout=CHAIN_TIMEOUT_S)

    async def bare() -> object:
        return await connection.nats.request(ECHO_SUBJECT, b"", timeout=CHAIN_TIMEOUT_S)

    return await compare([ours] * at_once, [bare] * at_once, asks_per_round=10 * at_once)


async def measure_blocks(running: Deployment, connection: NatsConnection) -> Pair:
    """Compare the time from a new head to its neurons at a subscriber with the chain read alone."""
    chain = SubtensorReader(running.devnet.url)
    netuid = NetUid(NETUID)
    announced_s: dict[BlockNumber, float] = {}

    async def note_heads() -> None:
        async for number in chain.subscribe_heads(silence_s=CHAIN_TIMEOUT_S):
            announced_s.setdefault(number, time.perf_counter())

    noting = asyncio.create_task(note_heads())
    rounds: list[tuple[float, float]] = []
    feed = EventFeed(
        connection, [str(NeuronsEventSubject(netuid))], event_log_via_worker(connection)
    )
    try:
        async with feed:
            async for event in feed:
                arrived_s = time.perf_counter()
                if event.block.number in announced_s:
                    began_s = time.perf_counter()
                    block = await chain.block(event.block.number, timeout_s=CHAIN_TIMEOUT_S)
                    await chain.timestamp(block, timeout_s=CHAIN_TIMEOUT_S)
                    neurons = await chain.query(Neurons(netuid), block, timeout_s=CHAIN_TIMEOUT_S)
                    json_codec.encode(neurons)
                    read_s = time.perf_counter() - began_s
                    rounds.append((arrived_s - announced_s[event.block.number], read_s))
                if len(rounds) == BLOCKS:
                    break
    finally:
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        await chain.close()
    return paired(rounds)


async def count_fetches(running: Deployment) -> float:
    """Return the chain reads per block of the subnet, from the node's log of all requests."""
    requests = await running.devnet.control("GET", "/requests")
    fetches = Counter(
        request["block_number"]
        for request in requests
        if request["method"] == FETCH and request["params"][:1] == [NETUID]
    )
    return fetches.total() / len(fetches)


def _show(what: str, pair: Pair) -> None:
    ours_ms, bare_ms = pair.ours_s * 1000, pair.bare_s * 1000
    sys.stdout.write(f"{what:<58}{pair.ratio:6.2f}   {ours_ms:8.2f} ms / {bare_ms:8.2f} ms\n")
    sys.stdout.flush()


async def _measure_product(folder: Path) -> None:
    async with deployment(folder) as running:
        connection = await connect(ConnectionOptions((running.nats_url,), name="bench"))
        sys.stdout.write(f"256 neurons are {running.body_bytes} bytes. Medians; less is better.\n")
        for at_once in (1, AT_ONCE):
            pair = await measure_rest(running, at_once)
            _show(f"REST latest neurons / bare uvicorn, {at_once} at once", pair)
        for at_once in (1, AT_ONCE):
            pair = await measure_nats(connection, at_once)
            _show(f"NATS latest neurons / bare nats-py echo, {at_once} at once", pair)
        # Before the chain is read for the comparison, which counts too.
        fetches = await count_fetches(running)
        sys.stdout.write(f"{'chain fetches per block / 1':<58}{fetches:6.2f}\n")
        _show("block to subscriber / chain read alone", await measure_blocks(running, connection))
        await connection.close()


def main() -> None:
    """Measure the product, within about a minute, the devnet alone, in two, or an import."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures what Pylon costs against the bare parts that it is made of, and "
        "prints one line for each ratio. Takes about a minute; docs/performance.md explains it.",
    )
    parts = parser.add_subparsers(dest="part")
    parts.add_parser("import", help="the client's import, beside that of its dependencies")
    alone = parts.add_parser(
        "devnet", help="the simulated chain alone: requests, memory, and the pace of its blocks"
    )
    alone.add_argument(
        "--seconds", type=float, default=30.0, help="how long the pace is watched (default: 30)"
    )
    chosen = parser.parse_args()
    if chosen.part == "import":
        _show("import of the client / of its dependencies", client_import.measure())
        return
    with tempfile.TemporaryDirectory() as folder:
        if chosen.part == "devnet":
            asyncio.run(devnet.run(Path(folder), chosen.seconds))
        else:
            asyncio.run(_measure_product(Path(folder)))


if __name__ == "__main__":
    main()
