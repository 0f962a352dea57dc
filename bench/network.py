"""Part `network`: the whole network of subnets with 256 neurons, published by 1 and 2 workers.

Blocks are made on request, each when the previous one is published, so that the measurement is
short. Shares of a core are then computed for blocks of 12 s: the CPU time of a block, and that of
an idle worker for the rest of the 12 s.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.deployment import OWN_INTERPRETER
from bench.event_times import PUBLISHED_WITHIN_S, EventTimes
from bench.measurement import Measurement, Target
from bench.memory import memory_of_import_mb
from bench.nats_client import connect_bare
from bench.pairs import paired
from bench.processes import Baseline, baseline, cpu_s, disk_bytes, rss_mb
from bench.sizes import Run
from pylon_devnet.population import FIRST_EXTRA_NETUID, SUBNETS
from tests.support.chain.devnet_control import ON_DEMAND_S, ON_DEMAND_SETTINGS
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_server import NatsServer
from tests.support.product.worker_process import ITS_TURN, READY, WorkerProcess, worker_process

BLOCK_TIME_S: Final = 12.0
IDLE_S: Final = 3.0
"""Seconds for which an idle worker is measured."""
DECODED: Final = 20
"""Number of times that the answers of a subnet are decoded in one turn."""
_BYTES_PER_MB: Final = 1e6
_MS_PER_S: Final = 1000
_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What one block took.

    Attributes:
        took_s: from the request for the block until everything was published.
        last_s: from the block event until the last snapshot.
        workers_cpu_s: CPU time of each worker.
        nats_cpu_s: CPU time of NATS.
        disk_mb: what NATS wrote to disk.
        snapshots_mb: size of the snapshots.
        read_s: time in which the SDK alone reads the same subnets.
        read_cpu_s: CPU time of this.
        decode_cpu_s: CPU time in which the SDK decodes the two answers of one subnet.
    """

    took_s: float
    last_s: float
    workers_cpu_s: list[float]
    nats_cpu_s: float
    disk_mb: float
    snapshots_mb: float
    read_s: float
    read_cpu_s: float
    decode_cpu_s: float


@dataclass(frozen=True, slots=True)
class Network:
    """The running processes.

    Attributes:
        netuids: the subnets.
        nats: the NATS server.
        devnet: the chain.
        chain: the SDK alone.
        events: a subscriber of all events.
    """

    netuids: Sequence[int]
    nats: NatsServer
    devnet: DevnetProcess
    chain: Baseline
    events: EventTimes

    async def blocks(self, count: int, workers: Sequence[WorkerProcess]) -> list[BlockCost]:
        """Make some blocks, and return what each took; the first one warms up.

        A block that is not published in time, since the machine does too much else, is left out.

        Raises:
            TimeoutError: this was so for half of the blocks.
        """
        costs: list[BlockCost] = []
        for _ in range(2 * (count + 1)):
            with contextlib.suppress(TimeoutError):
                costs.append(await self._block(workers))
            if len(costs) > count:
                return costs[1:]
        raise TimeoutError(f"of {2 * (count + 1)} blocks only {len(costs)} were published in time")

    async def idle_share(self, workers: Sequence[WorkerProcess]) -> float:
        """Return the share of a core that all workers use between blocks."""
        before_s = sum(cpu_s(worker.process.pid) for worker in workers)
        await asyncio.sleep(IDLE_S)
        return (sum(cpu_s(worker.process.pid) for worker in workers) - before_s) / IDLE_S

    async def _block(self, workers: Sequence[WorkerProcess]) -> BlockCost:
        pids = [worker.process.pid for worker in workers]
        workers_s, nats_s = [cpu_s(pid) for pid in pids], cpu_s(self.nats.pid)
        written, began_s = disk_bytes(self.nats.pid), time.perf_counter()
        number = await self.devnet.advance()
        await self.events.is_published(number, len(self.netuids))
        took_s = time.perf_counter() - began_s
        used_s = [cpu_s(pid) - before_s for pid, before_s in zip(pids, workers_s, strict=True)]
        nats_used_s = cpu_s(self.nats.pid) - nats_s
        disk = disk_bytes(self.nats.pid) - written
        words = " ".join(map(str, [number, *self.netuids]))
        read_s, read_cpu_s = map(float, (await self.chain.ask(words)).split())
        decode = f"{number} decode {self.netuids[0]} {DECODED}"
        return BlockCost(
            took_s,
            max(self.events.neurons_s.pop(number)) - self.events.block_s.pop(number),
            used_s,
            nats_used_s,
            disk / _BYTES_PER_MB,
            self.events.bytes.pop(number) / _BYTES_PER_MB,
            read_s,
            read_cpu_s,
            float(await self.chain.ask(decode)),
        )


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield the costs of a block with one worker and with two."""
    extra = run.sizes.subnets - len(SUBNETS)
    netuids = [plan.netuid for plan in SUBNETS]
    netuids += range(FIRST_EXTRA_NETUID, FIRST_EXTRA_NETUID + extra)
    settings = {
        "PYLON_TRACKED_NETUIDS": json.dumps(netuids),
        "PYLON_CHAIN_TIMEOUT_SECONDS": str(PUBLISHED_WITHIN_S),
        **ON_DEMAND_SETTINGS,
    }
    options = ("--neurons=256", f"--extra-subnets={extra}", "--keep-blocks=64")
    run.report(f"network: starting a chain of {len(netuids)} subnets")
    async with (
        NatsServer(run.folder) as nats,
        DevnetProcess(None, *options, block_time_s=ON_DEMAND_S) as devnet,
        baseline(devnet.url, module="bench.chain_reads") as chain,
        connect_bare(nats.url) as client,
        AsyncExitStack() as stack,
    ):
        events = EventTimes()
        await events.follow(client)
        network = Network(netuids, nats, devnet, chain, events)
        workers: list[WorkerProcess] = []
        costs: dict[int, list[BlockCost]] = {}
        for count in (1, 2):
            run.report(f"network: {count} worker{'s' * (count > 1)}")
            worker = worker_process(run.folder, nats.url, devnet.url, **settings | OWN_INTERPRETER)
            workers.append(await stack.enter_async_context(worker))
            await workers[-1].logs(READY)
            await workers[0].logs(ITS_TURN)
            costs[count] = await network.blocks(run.sizes.network_blocks, workers)
            idle = await network.idle_share(workers)
            for measurement in _cpu(costs[count], idle, len(netuids), count):
                yield measurement
            if count == 1:
                yield _memory(workers[0])
                for measurement in _publishing(costs[1], len(netuids)):
                    yield measurement
        yield _takes_less_with_two(costs)
        yield _is_shared(costs)


def _cpu(costs: Sequence[BlockCost], idle: float, subnets: int, workers: int) -> list[Measurement]:
    """Return the CPU time of a subnet, and the share of a core of all workers."""

    def share(cost: BlockCost) -> float:
        rest_s = max(0.0, BLOCK_TIME_S - cost.took_s)
        return (sum(cost.workers_cpu_s) + idle * rest_s) / BLOCK_TIME_S * _PERCENT

    def alone(cost: BlockCost) -> float:
        return cost.read_cpu_s / BLOCK_TIME_S * _PERCENT

    by_subnet = paired(
        [
            (sum(cost.workers_cpu_s) / subnets * _MS_PER_S, cost.decode_cpu_s * _MS_PER_S)
            for cost in costs
        ]
    )
    name, of = f"network-{workers}", f"{workers} worker{'s' * (workers > 1)}, {subnets} subnets"
    is_one = workers == 1
    return [
        Measurement(
            f"{name}-cpu-per-subnet",
            f"CPU time of {of}, per subnet and block",
            "the SDK's bare decoding of the same two answers",
            by_subnet,
            "ms",
            Target(2) if is_one else None,
            {
                f"{name}-worker-cpu-s-per-subnet": by_subnet.ours / _MS_PER_S,
                f"{name}-idle-share": idle,
                f"{name}-nats-cpu-s-per-subnet": median(cost.nats_cpu_s for cost in costs)
                / subnets,
            },
        ),
        Measurement(
            f"{name}-core",
            f"share of a core of {of}, blocks of {BLOCK_TIME_S:g} s",
            "the SDK's bare read of the same subnets",
            paired([(share(cost), alone(cost)) for cost in costs]),
            "%",
            Target(12, of_ours=True) if is_one else None,
        ),
    ]


def _memory(worker: WorkerProcess) -> Measurement:
    return Measurement(
        "network-1-memory",
        "memory of the worker of all subnets",
        "an interpreter that has imported the SDK",
        paired([(rss_mb(worker.process.pid), memory_of_import_mb("bittensor"))]),
        "MB",
        Target(200, of_ours=True),
    )


def _publishing(costs: Sequence[BlockCost], subnets: int) -> list[Measurement]:
    disk_mb = [cost.disk_mb for cost in costs]
    return [
        Measurement(
            "network-1-last",
            "from the block event until the last snapshot",
            "the SDK's bare read of the same subnets, cached by the node",
            paired([(cost.last_s, cost.read_s) for cost in costs]),
            "s",
            Target(1.5, of_ours=True),
        ),
        Measurement(
            "network-1-disk",
            "written to disk by NATS, per block",
            "the snapshots as JSON",
            paired([(cost.disk_mb, cost.snapshots_mb) for cost in costs]),
            "MB",
            Target(6, of_ours=True),
            {"network-1-disk-bytes-per-subnet": median(disk_mb) * _BYTES_PER_MB / subnets},
        ),
    ]


def _takes_less_with_two(costs: Mapping[int, Sequence[BlockCost]]) -> Measurement:
    return Measurement(
        "network-2-last",
        "from the block event until the last snapshot, 2 workers",
        "1 worker",
        paired([(two.last_s, one.last_s) for two, one in zip(costs[2], costs[1], strict=True)]),
        "s",
        Target(0.6),
    )


def _is_shared(costs: Mapping[int, Sequence[BlockCost]]) -> Measurement:
    """Return the CPU time of the busier of two workers, which no other process limits."""
    pairs = [
        (max(two.workers_cpu_s), max(one.workers_cpu_s))
        for two, one in zip(costs[2], costs[1], strict=True)
    ]
    return Measurement(
        "network-2-busier",
        "CPU time of the busier of 2 workers, per block",
        "1 worker",
        paired(pairs),
        "s",
    )
