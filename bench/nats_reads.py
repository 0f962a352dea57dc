"""Part `nats`: reads over NATS, compared with a bare responder that sends the same bytes."""

from collections.abc import AsyncGenerator
from typing import Final

from bench.baselines import ECHO_SUBJECT
from bench.deployment import NETUID, deployment
from bench.measurement import Measurement, Target
from bench.pairs import Pair, compare
from bench.sizes import Run
from pylon_client.contract.subjects import OpenSubject
from pylon_client.contract.types import NetUid
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect

BLOCK_TIME_S: Final = 12.0
TIMEOUT_S: Final = 30.0
IN_FLIGHT: Final = (1, 16)
ROUNDS_PER_TURN: Final = 3
"""Turns of one comparison, as a multiple of the turns of others: these are short."""
_MS_PER_S: Final = 1000


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield the time of a read with one request in flight and with several."""
    async with deployment(run.folder, block_time_s=BLOCK_TIME_S) as product:
        connection = await connect(ConnectionOptions((product.nats.url,), name="bench"))
        try:
            for in_flight in IN_FLIGHT:
                run.report(f"nats: {in_flight} in flight")
                turns, per_turn = ROUNDS_PER_TURN * run.sizes.turns, 10 * in_flight
                before_s = product.cpu_s()
                pair = await _compare(connection, in_flight, turns, per_turn)
                after_s = product.cpu_s()
                reads = turns * per_turn
                worker_s, nats_s = (after_s[of] - before_s[of] for of in ("worker", "nats"))
                yield Measurement(
                    f"nats-neurons-{in_flight}",
                    f"NATS latest neurons, {in_flight} in flight",
                    "bare nats-py responder, same bytes",
                    Pair(pair.ours * _MS_PER_S, pair.bare * _MS_PER_S, pair.ratio),
                    "ms",
                    Target(1.1) if in_flight == max(IN_FLIGHT) else None,
                    {
                        "nats-neurons-worker-cpu-s": worker_s / reads,
                        # The server carries the bare responder's replies too.
                        "nats-neurons-nats-cpu-s": nats_s / (2 * reads),
                    },
                )
        finally:
            await connection.close()


async def _compare(connection: NatsConnection, in_flight: int, turns: int, per_turn: int) -> Pair:
    subject = str(OpenSubject(NetUid(NETUID), "neurons.latest"))

    async def ours() -> object:
        return await connection.nats.request(subject, b"", timeout=TIMEOUT_S)

    async def bare() -> object:
        return await connection.nats.request(ECHO_SUBJECT, b"", timeout=TIMEOUT_S)

    return await compare(
        [ours] * in_flight, [bare] * in_flight, asks_per_round=per_turn, rounds=turns
    )
