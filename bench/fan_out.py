"""Part `subscribers`: from a new head to its subscribers, compared with a bare publish to them."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.deployment import NETUID, OWN_INTERPRETER
from bench.measurement import Measurement, Target
from bench.nats_client import connect_bare, subscribe
from bench.pairs import Pair
from bench.processes import Baseline, baseline, cpu_s, rss_mb
from bench.sizes import Run
from pylon.chain.subtensor_reader import SubtensorReader
from pylon_client.contract import headers
from pylon_client.contract.subjects import BLOCK_EVENTS, NeuronsEventSubject
from pylon_client.contract.types import NetUid
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.worker_process import ITS_TURN, READY, worker_process

BLOCK_TIME_S: Final = 1.5
SILENCE_S: Final = 60.0
POLL_S: Final = 0.1
FLEETS: Final = 2
"""Number of processes that share the subscribers."""
FAN_OUT_SUBJECT: Final = "bench.fanout"
NEURONS_EVENTS: Final = str(NeuronsEventSubject(NetUid(NETUID)))
FETCH: Final = "state_call:NeuronInfoRuntimeApi_get_neurons_lite"
_MS_PER_S: Final = 1000
_MEDIAN, _P99 = 0.5, 0.99


@dataclass(frozen=True, slots=True)
class Heads:
    """When each block was announced and how long reading it takes, in seconds by number.

    Attributes:
        announced_s: time of the announcement by the node.
        read_s: duration of the chain read alone.
        published_s: time of the bare publish.
        event_bytes: size of each block's event.
    """

    announced_s: dict[int, float] = field(default_factory=dict[int, float])
    read_s: dict[int, float] = field(default_factory=dict[int, float])
    published_s: dict[int, float] = field(default_factory=dict[int, float])
    event_bytes: dict[int, int] = field(default_factory=dict[int, int])


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield the latency of block events and of neurons, for some numbers of subscribers."""
    async with (
        NatsServer(run.folder) as nats,
        DevnetProcess(run.folder, "--neurons=256", block_time_s=BLOCK_TIME_S) as devnet,
        worker_process(run.folder, nats.url, devnet.url, **OWN_INTERPRETER) as worker,
        baseline(devnet.url, module="bench.chain_reads") as chain,
    ):
        await worker.logs(READY)
        await worker.logs(ITS_TURN)
        for count in run.sizes.block_subscribers:
            run.report(f"subscribers: {count} of blocks")
            for measurement in await _measure(run, nats, devnet, chain, (BLOCK_EVENTS, count, ())):
                yield measurement
        # Before the chain is read for the comparison, which counts too.
        yield await _count_fetches(devnet)
        for count in run.sizes.neurons_subscribers:
            run.report(f"subscribers: {count} of neurons")
            for measurement in await _measure(
                run, nats, devnet, chain, (NEURONS_EVENTS, count, (NETUID,))
            ):
                yield measurement


async def _measure(
    run: Run,
    nats: NatsServer,
    devnet: DevnetProcess,
    chain: Baseline,
    group: tuple[str, int, Sequence[int]],
) -> list[Measurement]:
    subject, count, netuids = group
    rss_before_mb = rss_mb(nats.pid)
    async with (
        fleet(nats.url, [subject, FAN_OUT_SUBJECT], count) as subscribers,
        connect_bare(nats.url) as client,
    ):
        rss_mb_each = (rss_mb(nats.pid) - rss_before_mb) / count
        used_before_s = cpu_s(nats.pid)
        heads = await _follow(devnet.url, chain, client, subject, netuids, run.sizes.blocks)
        used_s = cpu_s(nats.pid) - used_before_s
        arrivals = await gather_arrivals(subscribers, FAN_OUT_SUBJECT, run.sizes.blocks * count)
    kind = "neurons" if netuids else "blocks"
    numbers = [n for n in sorted(heads.published_s) if len(arrivals[subject].get(n, [])) == count]
    name = f"subscribers-{kind}-{count}"
    what = f"head to {count} subscriber{'s' * (count > 1)} of {kind}, beyond the chain read"
    # Each subscriber received an event and a bare message of the same size.
    costs = {
        f"subscribers-{kind}-nats-cpu-s": used_s / (2 * count * len(heads.published_s)),
        f"subscribers-{kind}-event-bytes": float(max(heads.event_bytes.values())),
        f"subscribers-{kind}-nats-rss-mb": rss_mb_each,
    }

    def pair(share: float) -> Pair:
        ours_s: list[float] = []
        bare_s: list[float] = []
        ratios: list[float] = []
        for n in numbers:
            whole_s = percentile(arrivals[subject][n], share) - heads.announced_s[n]
            published_s = percentile(arrivals[FAN_OUT_SUBJECT][n], share) - heads.published_s[n]
            ours_s.append(whole_s - heads.read_s[n])
            bare_s.append(published_s)
            ratios.append(whole_s / (heads.read_s[n] + published_s))
        return Pair(median(ours_s) * _MS_PER_S, median(bare_s) * _MS_PER_S, median(ratios))

    bare = "bare publish to the same subscribers; the ratio includes the chain read"
    target = Target(50, of_ours=True) if kind == "blocks" and count == 1000 else None  # noqa: PLR2004 -- the number that the target names
    return [
        Measurement(f"{name}-p50", f"{what}, median", bare, pair(_MEDIAN), "ms", None, costs),
        Measurement(f"{name}-p99", f"{what}, 99th percentile", bare, pair(_P99), "ms", target),
    ]


async def _follow(
    url: str, chain: Baseline, client: Client, subject: str, netuids: Sequence[int], blocks: int
) -> Heads:
    """Follow some blocks; after each, read it alone and publish a bare message like its event."""
    heads = Heads()
    reader = SubtensorReader(url)
    bodies: dict[int, bytes] = {}
    complete: asyncio.Queue[int] = asyncio.Queue()

    async def note_heads() -> None:
        async for number in reader.subscribe_heads(silence_s=SILENCE_S):
            heads.announced_s.setdefault(number, time.perf_counter())

    async def note_event(message: Msg) -> None:
        bodies[int((message.headers or {})[headers.BLOCK_NUMBER])] = message.data

    async def note_neurons(message: Msg) -> None:
        complete.put_nowait(int((message.headers or {})[headers.BLOCK_NUMBER]))

    noting = asyncio.create_task(note_heads())
    try:
        await subscribe(client, subject, note_event)
        # The worker's last read of a block; before it, the node is busy with the worker's reads.
        await subscribe(client, NEURONS_EVENTS, note_neurons)
        while len(heads.published_s) < blocks:
            async with asyncio.timeout(SILENCE_S):
                number = await complete.get()
            body = bodies.pop(number, None)
            if body is None or number not in heads.announced_s:
                continue
            words = [number, *netuids]
            heads.read_s[number] = float((await chain.ask(" ".join(map(str, words)))).split()[0])
            heads.event_bytes[number] = len(body)
            heads.published_s[number] = time.perf_counter()
            await client.publish(FAN_OUT_SUBJECT, body, headers={headers.BLOCK_NUMBER: str(number)})
    finally:
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        await reader.close()
    return heads


async def _count_fetches(devnet: DevnetProcess) -> Measurement:
    """Return the chain reads per block of the subnet, from the node's log of all requests."""
    requests = await devnet.control("GET", "/requests")
    fetches = Counter(
        request["block_number"]
        for request in requests
        if request["method"] == FETCH and request["params"][:1] == [NETUID]
    )
    each = fetches.total() / len(fetches)
    return Measurement(
        *("chain-fetches", "chain reads per block and subnet", "one read"),
        Pair(each, 1.0, each),
        "reads",
        Target(1.0),
    )


@asynccontextmanager
async def fleet(url: str, subjects: Sequence[str], count: int) -> AsyncGenerator[list[Baseline]]:
    """Run processes with some subscribers within the block."""
    address = urlsplit(url)
    async with AsyncExitStack() as stack:
        processes = min(FLEETS, count)
        yield [
            await stack.enter_async_context(
                baseline(
                    *(str(address.hostname), str(address.port)),
                    *(str(count // processes + (number < count % processes)), *subjects),
                    module="bench.subscriber_fleet",
                )
            )
            for number in range(processes)
        ]


async def gather_arrivals(
    subscribers: Sequence[Baseline], subject: str, count: int
) -> dict[str, dict[int, list[float]]]:
    """Return the times of all messages, by subject and number, once some have arrived.

    Args:
        subscribers: the processes of the subscribers.
        subject: of the last messages.
        count: number of arrivals of this subject at all subscribers.
    """
    async with asyncio.timeout(SILENCE_S):
        while True:
            found: dict[str, dict[int, list[float]]] = {}
            for one in subscribers:
                for of, by_number in json.loads(await one.ask("arrivals")).items():
                    for number, times_s in by_number.items():
                        found.setdefault(of, {}).setdefault(int(number), []).extend(times_s)
            if sum(map(len, found.get(subject, {}).values())) >= count:
                return found
            await asyncio.sleep(POLL_S)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
