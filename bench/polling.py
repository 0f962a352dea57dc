"""Part `capacity`: CPU time of bridges with polling clients, compared with the capacity model.

Clients poll the latest neurons twice in each block with `If-None-Match`. The model predicts the CPU
time from the costs of one response with a body and of one 304, measured before with one connection.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from bench.deployment import NEURONS_PATH, Deployment, deployment
from bench.measurement import Measurement, Target
from bench.pairs import paired
from bench.processes import baseline, cpu_s
from bench.rest import READS, HotRead, load
from bench.sizes import Run

IDLE_S: Final = 3.0
POLLS_PER_BLOCK: Final = 2
_MS_PER_S: Final = 1000
_NEURONS: Final = {read.is_conditional: read for read in READS if read.path == NEURONS_PATH}


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield predicted and measured CPU time for some numbers of bridges and clients."""
    bridges = max(bridges for bridges, _ in run.sizes.polls)
    block_time_s = POLLS_PER_BLOCK * run.sizes.poll_s
    async with deployment(run.folder, block_time_s=block_time_s, bridges=bridges) as product:
        run.report("capacity: costs of one response")
        body_s = await _cost_s(run, product, _NEURONS[False])
        unchanged_s = await _cost_s(run, product, _NEURONS[True])
        for used, clients in run.sizes.polls:
            run.report(f"capacity: {clients} clients of {used} bridge{'s' * (used > 1)}")
            yield await _compare(run, product, (used, clients), (body_s, unchanged_s))


async def _cost_s(run: Run, product: Deployment, read: HotRead) -> float:
    """Return the CPU time of the first bridge for one response, in seconds."""
    pid = product.bridges[0].pid
    before_s = cpu_s(pid)
    done = await load(product.url, read, 1, run.sizes.load_s)
    return (cpu_s(pid) - before_s) / done.requests


async def _compare(
    run: Run, product: Deployment, size: tuple[int, int], costs_s: tuple[float, float]
) -> Measurement:
    used, clients = size
    pids = [bridge.pid for bridge in product.bridges[:used]]
    urls = [bridge.url for bridge in product.bridges[:used]]
    before_s = _used_s(pids)
    await asyncio.sleep(IDLE_S)
    idle = (_used_s(pids) - before_s) / IDLE_S
    arguments = [NEURONS_PATH, clients, run.sizes.poll_s, run.sizes.poll_rounds]
    clock_s = asyncio.get_running_loop().time
    async with baseline(*map(str, arguments), *urls, module="bench.polling_clients") as polling:
        before_s, began_s = _used_s(pids), clock_s()
        responses = json.loads(await polling.ask("start"))
        measured_s, took_s = _used_s(pids) - before_s, clock_s() - began_s
    bodies, unchanged = responses.get("200", 0), responses.get("304", 0)
    body_s, unchanged_s = costs_s
    predicted_s = idle * took_s + bodies * body_s + unchanged * unchanged_s
    return Measurement(
        f"capacity-{used}-{clients}",
        f"CPU time of {used} bridge{'s' * (used > 1)} with {clients} clients that poll; "
        f"{bodies} responses with a body, {unchanged} without",
        "the capacity model",
        paired([(measured_s * _MS_PER_S, predicted_s * _MS_PER_S)]),
        "ms",
        Target(1.5),
    )


def _used_s(pids: Sequence[int]) -> float:
    return sum(map(cpu_s, pids))
