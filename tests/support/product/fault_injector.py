"""Inject faults of the node, the chain, NATS and all workers, for a run of jobs under faults."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Final

import nats.errors
from nats.js.client import JetStreamContext

from pylon_client.contract.topology import EVENTS, JOB_QUEUE, JOB_STORE
from pylon_client.nats.nats_connection import NatsConnection
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.nats_server import NatsServer
from tests.support.product.fault_figures import Figures
from tests.support.product.fault_limiter import FaultLimiter
from tests.support.product.fault_workers import Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NO_SIGNER: Final = "no signer"
TEMPOS: Final = (100, 200, 300)
"""Blocks of an epoch after the tempo was changed: shorter, as before, and longer."""


class FaultInjector:
    """Inject faults at random.

    Args:
        chance: random source of the faults and their times.
        figures: counters of the faults.
        devnet: the node.
        nats: one server, or three.
        listener: a connection as a worker, which may query the leader of a stream.
        workers: all of them.
        limiter: delays faults while writes get no response.
        netuids: subnets whose epochs are triggered and whose tempo changes.
    """

    def __init__(
        self,
        chance: random.Random,
        figures: Figures,
        devnet: DevnetProcess,
        nats: NatsServer | NatsCluster,
        listener: NatsConnection,
        workers: Workers,
        limiter: FaultLimiter,
        *,
        netuids: Sequence[int],
    ) -> None:
        self._random = chance
        self._figures = figures
        self._devnet = devnet
        self._nats = nats
        self._listener = listener
        self._workers = workers
        self._limiter = limiter
        self._netuids = netuids

    async def until(self, quiet: asyncio.Event) -> None:
        """Inject faults at random until an event is set."""
        faults: dict[str, Callable[[], Awaitable[None]]] = {
            "connections cut": lambda: self._control("drop-connections"),
            "node silent": self._silence,
            "extrinsic swallowed": lambda: self._control("swallow-extrinsics", times=1),
            "extrinsic refused": lambda: self._control(
                "refuse-extrinsics", times=1, data="Transaction is outdated"
            ),
            "included without a reply": self._keep_replies,
            "devnet killed": self._kill_devnet,
            "nats killed": self._kill_nats,
            "stream deleted": self._delete_stream,
            "epoch triggered": self._trigger_epoch,
            "tempo changed": self._change_tempo,
            NO_SIGNER: self._workers.lose_signers,
        }
        for name in self._names(list(faults)):
            await asyncio.sleep(self._random.uniform(0.3, 2.0))
            await self._limiter.acquire()
            if quiet.is_set():
                return
            await faults[name]()
            self._figures.faults[name] += 1

    def _names(self, names: list[str]) -> Iterator[str]:
        """Yield faults in random order without end, each once per round.

        A short run thus has all faults. The slowest one restarts all workers: it occurs in every
        third round.
        """
        for number in count():
            drawn = self._random.sample(names, len(names))
            yield from (name for name in drawn if name != NO_SIGNER or number % 3 == 0)

    async def _silence(self) -> None:
        await self._control("go-silent")
        await asyncio.sleep(self._random.uniform(0.2, 2.0))
        await self._control("speak")

    async def _keep_replies(self) -> None:
        """Delay the replies to submissions: extrinsics are included, and no caller is notified."""
        for seconds in (60, 0):
            await self._control("delay-method", method="author_submitExtrinsic", seconds=seconds)
            await asyncio.sleep(self._random.uniform(0.5, 2.0))

    async def _kill_devnet(self) -> None:
        await self.note_pool()
        await self._devnet.kill()
        await asyncio.sleep(self._random.uniform(0.0, 1.0))
        await self._devnet.start()

    async def _kill_nats(self) -> None:
        if isinstance(self._nats, NatsServer):
            await self._nats.restart()
            return
        server = self._random.choice(self._nats.servers)
        with contextlib.suppress(Exception):  # it has no leader just now
            server = await self._nats.leader(
                self._listener, self._random.choice((JOB_QUEUE, JOB_STORE)).name
            )
            self._figures.faults["of these, leaders"] += 1
        await server.kill()
        # The other two servers continue; the time of a leader election is not bounded.
        await asyncio.sleep(self._random.uniform(1.0, 6.0))
        await server.start()

    async def _delete_stream(self) -> None:
        """Delete the queue or the events, but not the job store: that would lose jobs."""
        name = self._random.choice((JOB_QUEUE, EVENTS)).name
        # It may be missing already, or have no leader just now.
        with contextlib.suppress(nats.errors.Error, OSError):
            await JetStreamContext(self._listener.nats, timeout=5).delete_stream(name)
            self._figures.faults[f"of these, {name}"] += 1

    async def _trigger_epoch(self) -> None:
        netuid = self._random.choice(self._netuids)
        await self._control("trigger-epoch", netuid=netuid, blocks=self._random.randint(1, 3))

    async def _change_tempo(self) -> None:
        netuid, tempo = self._random.choice(self._netuids), self._random.choice(TEMPOS)
        await self._control("set-hyperparameter", netuid=netuid, item="Tempo", value=tempo)

    async def stop_faults(self) -> None:
        """End faults that last."""
        await self._control("speak")
        await self._control("swallow-extrinsics", times=0)
        await self._control("refuse-extrinsics", times=0)

    async def note_pool(self) -> None:
        """Record the largest size of the node's pool, which a killed node forgets."""
        most = await self._devnet.control("GET", "/pool/most-in-flight")
        self._figures.most_in_flight = max(self._figures.most_in_flight, most)

    async def _control(self, path: str, **parameters: object) -> None:
        await self._devnet.control("POST", f"/{path}", **parameters)
