"""Part `rest`: hot reads over HTTP, compared with a bare uvicorn that serves the same bytes."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import httpx

from bench.baselines import NOT_MODIFIED
from bench.deployment import BLOCK_PATH, HEALTH_PATH, NEURONS_PATH, Deployment, deployment
from bench.measurement import Measurement, Target
from bench.pairs import paired
from bench.processes import cpu_s
from bench.sizes import Run
from bench.wrk import Load, LoadError, generate

BLOCK_TIME_S: Final = 12.0
COMPARED_CONNECTIONS: Final = 16
"""The number of connections to which the targets apply."""
MAX_ATTEMPTS: Final = 5
"""Maximum number of runs of one turn, of which a new block spoils some."""
MAX_BYTES_OF_304: Final = 1_000
_US_PER_S: Final = 1e6


@dataclass(frozen=True, slots=True)
class HotRead:
    """A request, and the bare server's path with the same response.

    Attributes:
        name: of the measurement.
        path: of the bridge.
        bare_path: of the bare server.
        at_least: target of the throughput, as a ratio.
        is_conditional: whether the caller has the current response.
        is_compared_once: whether only COMPARED_CONNECTIONS is measured.
    """

    name: str
    path: str
    bare_path: str
    at_least: float
    is_conditional: bool = False
    is_compared_once: bool = False


READS: Final = (
    HotRead("neurons", NEURONS_PATH, "/neurons", 0.8),
    HotRead("neurons-304", NEURONS_PATH, NOT_MODIFIED, 0.8, is_conditional=True),
    HotRead("health", HEALTH_PATH, "/health", 0.6, is_compared_once=True),
    HotRead("block", BLOCK_PATH, "/block", 0.6, is_compared_once=True),
)


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield throughput and latency of each read."""
    async with deployment(run.folder, block_time_s=BLOCK_TIME_S) as product:
        for read in READS:
            for connections in run.sizes.connections:
                if connections == COMPARED_CONNECTIONS or not read.is_compared_once:
                    run.report(f"rest: {read.name}, {connections} connections")
                    for measurement in await _compare(run, product, read, connections):
                        yield measurement


async def _compare(
    run: Run, product: Deployment, read: HotRead, connections: int
) -> list[Measurement]:
    bare_url = product.bare.url + read.bare_path
    turns: list[tuple[Load, Load]] = []
    cpu: list[tuple[float, float]] = []
    used_s: Counter[str] = Counter()
    requests = 0
    for _ in range(run.sizes.turns):
        before_s = product.cpu_s()
        ours = await load(product.url, read, connections, run.sizes.load_s)
        after_s = product.cpu_s()
        used_s.update({name: after_s[name] - before_s[name] for name in after_s})
        requests += ours.requests
        bare_before_s = cpu_s(product.bare.pid)
        bare = await generate(bare_url, connections, run.sizes.load_s)
        bare_s = cpu_s(product.bare.pid) - bare_before_s
        turns.append((ours, bare))
        ours_s = after_s["bridge"] - before_s["bridge"]
        cpu.append((ours_s / ours.requests * _US_PER_S, bare_s / bare.requests * _US_PER_S))
    name = f"rest-{read.name}-{connections}"
    what = f"REST {read.name}, {connections} connection{'s' * (connections > 1)}"
    reference = "bare uvicorn, same response"
    has_target = connections == COMPARED_CONNECTIONS
    return [
        Measurement(
            name,
            what,
            reference,
            paired([(ours.per_s, bare.per_s) for ours, bare in turns]),
            "requests/s",
            Target(read.at_least, at_least=True) if has_target else None,
            {f"rest-{read.name}-{part}-cpu-s": used_s[part] / requests for part in used_s}
            if has_target
            else {},
        ),
        Measurement(
            f"{name}-p99",
            f"{what}, 99th percentile",
            reference,
            paired([(ours.p99_ms, bare.p99_ms) for ours, bare in turns]),
            "ms",
            Target(1.5) if has_target and read.name == "neurons" else None,
        ),
        # Other load on the machine changes it least.
        Measurement(
            f"{name}-cpu",
            f"{what}, CPU time of the bridge per request",
            reference,
            paired(cpu),
            "µs",
        ),
    ]


async def load(url: str, read: HotRead, connections: int, seconds: int) -> Load:
    """Run wrk on a bridge; a conditional read is repeated if a block arrived during the run.

    Raises:
        LoadError: a block arrived during each attempt, or wrk failed.
    """
    if not read.is_conditional:
        return await generate(url + read.path, connections, seconds)
    for _ in range(MAX_ATTEMPTS):
        async with httpx.AsyncClient(trust_env=False) as client:
            tag = (await client.get(url + read.path)).headers["ETag"]
        # The same coding as without `Accept-Encoding`, which wrk does not send.
        tag = f'"{tag.removeprefix("W/").strip(chr(34)).partition("-")[0]}"'
        result = await generate(url + read.path, connections, seconds, {"If-None-Match": tag})
        if result.bytes_read < MAX_BYTES_OF_304 * result.requests:
            return result
    raise LoadError(f"a block arrived during each of {MAX_ATTEMPTS} runs")
