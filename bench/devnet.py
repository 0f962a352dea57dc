"""`python -m bench devnet`: speed of the simulated chain, and whether it keeps pace and size."""

import sys
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from bench.pairs import ROUNDS, WARM_UP, Ask, Pair, compare
from bench.processes import Baseline, baseline, cpu_s, rss_mb
from pylon_devnet.codec import Codec
from pylon_devnet.runtime.runtime_metadata import TRANSACTION_VERSION, build_metadata
from tests.support.chain.devnet_process import DevnetProcess

NETUIDS: Final = (1, 2, 12)
SIZE: Final = "--neurons=256"
BLOCK_TIME_S: Final = 0.25
CONNECTIONS: Final = 16
KEPT_BLOCKS: Final = 4096
MAP_PAGE: Final = 100
ROUND_ASKS: Final = 50
NEURONS: Final = "NeuronInfoRuntimeApi_get_neurons_lite"
SAMPLES: Final = 12
HEADING: Final = f"""A devnet with 3 subnets of 256 neurons. Of requests the CPU time is compared,
{CONNECTIONS} at once, medians, less is better; behind it how many a whole core would answer."""
_ADVANCED_AT_ONCE: Final = 512

Request = tuple[str, list[Any]]


class Asking:
    """A connection that sends a request after the response to the previous one."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def answer(self, request: str) -> bytes:
        """Send a request, and return the response as it came."""
        await self._connection.send(request)
        return await self._connection.recv(decode=False)

    async def result(self, method: str, *params: Any) -> Any:
        """Return the result of a request.

        Raises:
            KeyError: the response is an error.
        """
        return msgspec.json.decode(await self.answer(_encoded((method, list(params)))))["result"]

    async def next(self, requests: Iterator[str]) -> bytes:
        """Send the next of these requests, and return the response."""
        return await self.answer(next(requests))


@asynccontextmanager
async def asking(url: str) -> AsyncGenerator[Asking]:
    """Open a connection for the block."""
    async with connect(url, compression=None, max_size=None) as connection:
        yield Asking(connection)


async def measure_requests(folder: Path) -> None:
    """Print the CPU time of a response, compared to a bare server's response of the same bytes."""
    past = WARM_UP + ROUNDS * ROUND_ASKS
    async with (
        DevnetProcess(None, SIZE, f"--past-blocks={past}", block_time_s=BLOCK_TIME_S) as devnet,
        baseline("websocket", str(folder)) as bare,
        asking(devnet.url) as first,
    ):
        hashes = await first.result("chain_getBlockHash", list(range(1, past + 1)))
        kinds = await _kinds(first, hashes[-1])
        for name, request in kinds.items():
            body = await first.answer(_encoded(request))
            (folder / "body").write_bytes(body)
            asked = [cycle([_encoded(request)])] * CONNECTIONS
            pair = await _compare(devnet, bare, asked)
            _show_rate(f"{name} / echo of {len(body)} bytes", pair)
        # Not requested before, so not cached.
        unasked = iter([_encoded(("state_call", [NEURONS, _netuid(12), one])) for one in hashes])
        pair = await _compare(devnet, bare, [unasked])
        _show_rate("256 neurons, asked for the first time / the same echo", pair)


async def measure_growth() -> None:
    """Print the memory after three times the stored history, compared to once."""
    async with DevnetProcess(None, SIZE, f"--keep-blocks={KEPT_BLOCKS}", block_time_s=60) as devnet:
        sizes_mb: list[float] = []
        for _ in range(3):
            for _ in range(KEPT_BLOCKS // _ADVANCED_AT_ONCE):
                await devnet.control("POST", "/advance", blocks=_ADVANCED_AT_ONCE)
            sizes_mb.append(rss_mb(devnet.pid))
        after, before = sizes_mb[2], sizes_mb[0]
        what = f"RSS after {3 * KEPT_BLOCKS} blocks / after the {KEPT_BLOCKS} kept"
        _show(what, after / before, f"{after:.1f} / {before:.1f} MB")


async def keep_pace(seconds: float) -> None:
    """Print the share of due blocks that were made while a client reads a subnet at each block."""
    netuids = cycle(NETUIDS)
    async with (
        DevnetProcess(None, SIZE, block_time_s=BLOCK_TIME_S) as devnet,
        asking(devnet.url) as reading,
    ):
        began_s = now_s = sampled_s = latest_s = size_mb = full_mb = 0.0
        first = number = 0
        async for number in _heads(devnet.url):
            now_s = time.perf_counter()
            if not first:
                first, began_s, sampled_s = number, now_s, now_s
            late_s = now_s - began_s - (number - first) * BLOCK_TIME_S
            latest_s = max(latest_s, late_s)
            is_over = now_s - began_s >= seconds
            if is_over or now_s - sampled_s >= seconds / SAMPLES:
                sampled_s, size_mb = now_s, rss_mb(devnet.pid)
                late = f"{late_s * 1000:+.0f} ms late, {size_mb:.1f} MB"
                _say(f"  block {number} after {now_s - began_s:.1f} s, {late}")
            if number == KEPT_BLOCKS:
                full_mb = rss_mb(devnet.pid)
            if is_over:
                break
            await reading.result("state_call", NEURONS, _netuid(next(netuids)), None)
        made, due = number - first, (now_s - began_s) / BLOCK_TIME_S
        details = f"{made} / {due:.1f}, none later than {latest_s * 1000:.0f} ms"
        _show(f"blocks made / due, {BLOCK_TIME_S} s each", made / due, details)
        if full_mb:
            what = f"RSS at block {number} / at block {KEPT_BLOCKS}"
            _show(what, size_mb / full_mb, f"{size_mb:.1f} / {full_mb:.1f} MB")


async def _heads(url: str) -> AsyncGenerator[int]:
    """Yield the numbers of new blocks, without the present head."""
    async with connect(url, compression=None, max_size=None) as connection:
        await connection.send(_encoded(("chain_subscribeNewHeads", [])))
        newest = None
        async for message in connection:
            announcement = msgspec.json.decode(message)
            if "params" in announcement:
                if newest is not None:
                    yield int(announcement["params"]["result"]["number"], 16)
                newest = announcement


async def run(folder: Path, seconds: float) -> None:
    """Measure all of it."""
    _say(HEADING)
    await measure_requests(folder)
    await measure_growth()
    await keep_pace(seconds)


async def _kinds(client: Asking, block: str) -> dict[str, Request]:
    """Return the requests that clients of the chain send, by name."""
    metadata = build_metadata(round(BLOCK_TIME_S * 1000))
    codec = Codec(
        metadata.encoded,
        spec_version=metadata.declaration.spec_version,
        transaction_version=TRANSACTION_VERSION,
    )
    prefix = "0x" + codec.storage_key("SubtensorModule", "Uids", [1]).hex()
    keys = await client.result("state_getKeysPaged", prefix, MAP_PAGE, prefix, block)
    return {
        "a header": ("chain_getHeader", [block]),
        "a value": ("state_getStorageAt", [keys[0], block]),
        "a page of 100 values": ("state_queryStorageAt", [keys, block]),
        "a neuron": (
            "state_call", ["NeuronInfoRuntimeApi_get_neuron_lite", _netuid(1) + "0500", block],
        ),
        "256 neurons": ("state_call", [NEURONS, _netuid(1), block]),
    }  # fmt: skip


async def _compare(devnet: DevnetProcess, bare: Baseline, asked: Sequence[Iterator[str]]) -> Pair:
    """Compare requests over some connections with as many connections to the bare server."""
    async with AsyncExitStack() as stack:

        async def asks(url: str, asked: Sequence[Iterator[str]]) -> list[Ask]:
            clients = [await stack.enter_async_context(asking(url)) for _ in asked]
            pairs = zip(clients, asked, strict=True)
            return [partial(client.next, requests) for client, requests in pairs]

        # Any request will do: the bare server does not read it.
        anything = cycle([_encoded(("chain_getHeader", []))])
        return await compare(
            await asks(devnet.url, asked),
            await asks(f"{bare.url}/body", [anything] * len(asked)),
            asks_per_round=ROUND_ASKS * len(asked),
            clocks=(partial(cpu_s, devnet.pid), partial(cpu_s, bare.pid)),
        )


def _encoded(request: Request) -> str:
    method, params = request
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return msgspec.json.encode(message).decode()


def _netuid(netuid: int) -> str:
    return netuid.to_bytes(2, "little").hex()


def _show_rate(what: str, pair: Pair) -> None:
    _show(what, pair.ratio, f"{1 / pair.ours:,.0f} / {1 / pair.bare:,.0f} per second")


def _show(what: str, ratio: float, details: str) -> None:
    _say(f"{what:<58}{ratio:6.2f}   {details}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
