"""The capacity model: `python -m bench.capacity RESULTS.json` prints its tables as Markdown.

It computes from the unit costs of a run what some numbers of processes carry. Part
`capacity` of the measurements compares the model with clients that poll.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from bench.measurement import number
from bench.results import Costs, MissingCostError, read_results

BLOCK_S: Final = 12.0
"""Block time, in seconds."""
BLOCKS_PER_DAY: Final = 7200
SUBNETS: Final = 128
USABLE: Final = 0.7
"""Share of a core that is planned for; the rest is for bursts."""
NATS_CORES: Final = 4
"""Cores of a NATS server."""
DELIVERY_S: Final = 1.0
"""Seconds within which all subscribers of a server receive an event."""
BRIDGES: Final = (1, 3, 20)
WORKERS: Final = (2, 5, 10)
LEAF_NODES: Final = (1, 5, 25)
SCENARIOS: Final = ((1_000, 100, 10), (10_000, 1_000, 100), (900_000, 90_000, 10_000))
"""Numbers of subscribers of blocks, of polling clients, and of subscribers of one subnet."""
_BYTES_PER_MB: Final = 1e6
_MB_PER_GB: Final = 1e3
_MS_PER_S: Final = 1e3
_EVENT_OVERHEAD_BYTES: Final = 300
"""Subject and headers of an event, in bytes."""


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """The inputs of the model; times are CPU time in seconds.

    Attributes:
        body_s: of a bridge for a response with the neurons.
        unchanged_s: of a bridge for a 304.
        body_worker_s: of the workers for a response with the neurons over REST.
        unchanged_worker_s: of the workers for a 304.
        nats_read_s: of a worker for a read over NATS.
        subnet_s: of one worker per subnet and block.
        second_s: additional time per subnet and block with one more worker.
        idle_share: share of a core of a worker between blocks.
        block_event_s: of a NATS server for the delivery of a block event to one subscriber.
        neurons_event_s: the same for the neurons of a subnet.
        body_bytes: size of the neurons of a subnet.
        block_bytes: size of a block event.
        disk_bytes: written by NATS per block for all subnets.
        subscriber_mb: memory of a NATS server per subscriber.
        writes_per_s: accepted writes per second of many callers.
    """

    body_s: float
    unchanged_s: float
    body_worker_s: float
    unchanged_worker_s: float
    nats_read_s: float
    subnet_s: float
    second_s: float
    idle_share: float
    block_event_s: float
    neurons_event_s: float
    body_bytes: float
    block_bytes: float
    disk_bytes: float
    subscriber_mb: float
    writes_per_s: float

    @classmethod
    def of(cls, costs: Costs) -> "UnitCosts":
        """Return the unit costs of a run.

        Raises:
            MissingCostError: a cost was not measured.
        """
        one = costs["network-1-worker-cpu-s-per-subnet"]
        return cls(
            body_s=costs["rest-neurons-bridge-cpu-s"],
            unchanged_s=costs["rest-neurons-304-bridge-cpu-s"],
            body_worker_s=costs["rest-neurons-worker-cpu-s"],
            unchanged_worker_s=costs["rest-neurons-304-worker-cpu-s"],
            nats_read_s=costs["nats-neurons-worker-cpu-s"],
            subnet_s=one,
            second_s=max(0.0, costs["network-2-worker-cpu-s-per-subnet"] - one),
            idle_share=costs["network-1-idle-share"],
            block_event_s=costs["subscribers-blocks-nats-cpu-s"],
            neurons_event_s=costs["subscribers-neurons-nats-cpu-s"],
            body_bytes=costs["subscribers-neurons-event-bytes"],
            block_bytes=costs["subscribers-blocks-event-bytes"] + _EVENT_OVERHEAD_BYTES,
            disk_bytes=SUBNETS * costs["network-1-disk-bytes-per-subnet"],
            subscriber_mb=max(0.0, costs["subscribers-blocks-nats-rss-mb"]),
            writes_per_s=costs["writes-per-s"],
        )

    @property
    def polling_s(self) -> float:
        """Return a bridge's CPU time per block of a client that polls twice in each block."""
        return self.body_s + self.unchanged_s

    def polling_clients(self, bridges: int) -> int:
        """Return how many clients some bridges carry that poll twice in each block."""
        return int(bridges * USABLE * BLOCK_S / self.polling_s)

    def publishing_share(self, workers: int) -> float:
        """Return the share of a core that publishing takes of each worker."""
        each_block_s = SUBNETS * (self.subnet_s + (workers - 1) * self.second_s)
        return each_block_s / BLOCK_S / workers + self.idle_share

    def nats_reads_per_s(self, workers: int) -> float:
        """Return how many reads over NATS some workers answer beside publishing."""
        return workers * max(0.0, USABLE - self.publishing_share(workers)) / self.nats_read_s

    def subscribers_per_server(self, event_s: float) -> int:
        """Return how many subscribers one NATS server reaches in DELIVERY_S."""
        return int(NATS_CORES * USABLE * DELIVERY_S / event_s)


Row = Sequence[str]


def unit_costs(costs: UnitCosts) -> Iterator[Row]:
    """Yield the table of the inputs."""
    yield "unit cost", "value"
    for what, value_s in (
        ("bridge: response with 256 neurons", costs.body_s),
        ("bridge: 304", costs.unchanged_s),
        ("worker: response with 256 neurons over REST", costs.body_worker_s),
        ("worker: 304 over REST", costs.unchanged_worker_s),
        ("worker: read over NATS", costs.nats_read_s),
        ("worker: a subnet at a block", costs.subnet_s),
        ("each further worker: a subnet at a block", costs.second_s),
        ("NATS: block event to one subscriber", costs.block_event_s),
        ("NATS: neurons to one subscriber", costs.neurons_event_s),
    ):
        yield what, f"{number(value_s * _MS_PER_S)} ms of CPU time"
    yield "worker between blocks", f"{costs.idle_share:.1%} of a core"
    yield "neurons of a subnet", f"{costs.body_bytes:,.0f} bytes"
    yield "block event with headers", f"{costs.block_bytes:,.0f} bytes"
    yield "NATS: disk per block, all subnets", f"{costs.disk_bytes / _BYTES_PER_MB:.1f} MB"
    yield "accepted writes of one deployment", f"{number(costs.writes_per_s)} per second"
    yield "NATS: memory per subscriber", f"{number(costs.subscriber_mb * _MB_PER_GB)} kB"


def bridges(costs: UnitCosts) -> Iterator[Row]:
    """Yield the table of bridges, of one core each."""
    yield (
        *("bridges", "responses/s", "304/s", "polling clients"),
        *("MB/s to them", "worker cores for them"),
    )
    for count in BRIDGES:
        clients = costs.polling_clients(count)
        worker_s = costs.body_worker_s + costs.unchanged_worker_s
        yield (
            str(count),
            f"{count * USABLE / costs.body_s:,.0f}",
            f"{count * USABLE / costs.unchanged_s:,.0f}",
            f"{clients:,}",
            number(clients * costs.body_bytes / BLOCK_S / _BYTES_PER_MB),
            number(clients * worker_s / BLOCK_S),
        )


def workers(costs: UnitCosts) -> Iterator[Row]:
    """Yield the table of workers, of one core each."""
    yield "workers", "publishing, % of a core each", "reads over NATS per s beside it"
    for count in WORKERS:
        share = costs.publishing_share(count)
        yield str(count), f"{share:.1%}", f"{costs.nats_reads_per_s(count):,.0f}"


def leaf_nodes(costs: UnitCosts) -> Iterator[Row]:
    """Yield the table of leaf nodes, each of which receives an event once for its subscribers."""
    yield (
        *("leaf nodes", "block subscribers", "or neurons subscribers"),
        *("MB/s into each", "MB/s from the hub"),
    )
    all_events = SUBNETS * costs.body_bytes + costs.block_bytes
    incoming_mb = all_events / BLOCK_S / _BYTES_PER_MB
    for count in LEAF_NODES:
        yield (
            str(count),
            f"{count * costs.subscribers_per_server(costs.block_event_s):,}",
            f"{count * costs.subscribers_per_server(costs.neurons_event_s):,}",
            number(incoming_mb),
            number(count * incoming_mb),
        )


def scenarios(costs: UnitCosts) -> Iterator[Row]:
    """Yield the table of deployments with many clients."""
    yield (
        *("block subscribers", "polling clients", "neurons subscribers"),
        *("NATS servers", "bridges", "MB/s to clients", "NATS memory", "disk per day"),
    )
    for of_blocks, polling, of_neurons in SCENARIOS:
        servers = of_blocks / costs.subscribers_per_server(costs.block_event_s)
        servers += of_neurons / costs.subscribers_per_server(costs.neurons_event_s)
        sent = of_blocks * costs.block_bytes + (polling + of_neurons) * costs.body_bytes
        memory_mb = (of_blocks + of_neurons) * costs.subscriber_mb
        disk_mb = costs.disk_bytes * BLOCKS_PER_DAY / _BYTES_PER_MB
        yield (
            *(f"{of_blocks:,}", f"{polling:,}", f"{of_neurons:,}"),
            f"{ceil(servers):,}",
            f"{ceil(polling * costs.polling_s / BLOCK_S / USABLE):,}",
            number(sent / BLOCK_S / _BYTES_PER_MB),
            f"{number(memory_mb / _MB_PER_GB)} GB",
            f"{number(disk_mb / _MB_PER_GB)} GB",
        )


def table(rows: Iterator[Row]) -> str:
    """Return a Markdown table, whose first row is the heading."""
    heading = next(rows)
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Print the tables of a run; return 1 if a cost was not measured."""
    try:
        costs = UnitCosts.of(Costs(read_results(Path(sys.argv[1]))))
    except MissingCostError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    tables = (unit_costs, bridges, workers, leaf_nodes, scenarios)
    sys.stdout.write("\n\n".join(table(make(costs)) for make in tables) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
