"""What a run of jobs under faults does to the node and to NATS."""

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import nats.errors
from nats.js.client import JetStreamContext

from pylon_client.contract.topology import EVENTS, JOBS, LEDGER
from pylon_client.transport.connection import Connection
from tests.support.devnet_process import DevnetProcess
from tests.support.fault_figures import Figures
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_server import NatsServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Strikes:
    """Strikes at random.

    Args:
        chance: decides which and when.
        figures: where they are counted.
        devnet: the node.
        nats: one server, or three.
        worker: a connection that may ask who leads.
    """

    def __init__(
        self,
        chance: random.Random,
        figures: Figures,
        devnet: DevnetProcess,
        nats: NatsServer | NatsCluster,
        worker: Connection,
    ) -> None:
        self._random = chance
        self._figures = figures
        self._devnet = devnet
        self._nats = nats
        self._worker = worker

    async def until(self, quiet: asyncio.Event) -> None:
        """Strike at random until then."""
        strikes: dict[str, Callable[[], Awaitable[None]]] = {
            "connections cut": lambda: self._control("drop-connections"),
            "node silent": self._silence,
            "extrinsic swallowed": lambda: self._control("swallow-extrinsics", times=1),
            "extrinsic refused": lambda: self._control(
                "refuse-extrinsics", times=1, data="Transaction is outdated"
            ),
            "included without a word": self._keep_replies,
            "devnet killed": self._kill_devnet,
            "nats killed": self._kill_nats,
            "stream deleted": self._delete_stream,
        }
        while not quiet.is_set():
            await asyncio.sleep(self._random.uniform(0.3, 2.0))
            name = self._random.choice(list(strikes))
            await strikes[name]()
            self._figures.faults[name] += 1

    async def _silence(self) -> None:
        await self._control("go-silent")
        await asyncio.sleep(self._random.uniform(0.2, 2.0))
        await self._control("speak")

    async def _keep_replies(self) -> None:
        """What is submitted meanwhile is taken, and included; nobody is told."""
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
        struck = self._random.choice(self._nats.servers)
        with contextlib.suppress(Exception):  # it has no leader just now
            struck = await self._nats.leader(self._worker, self._random.choice((JOBS, LEDGER)).name)
            self._figures.faults["of these, leaders"] += 1
        await struck.kill()
        # Two of three go on; how long they take to choose a leader is theirs.
        await asyncio.sleep(self._random.uniform(1.0, 6.0))
        await struck.start()

    async def _delete_stream(self) -> None:
        """Delete the queue or the events; not the ledger, with which jobs are really lost."""
        name = self._random.choice((JOBS, EVENTS)).name
        # It may be missing already, or have no leader just now.
        with contextlib.suppress(nats.errors.Error, OSError):
            await JetStreamContext(self._worker.nats, timeout=5).delete_stream(name)
            self._figures.faults[f"of these, {name}"] += 1

    async def calm_down(self) -> None:
        """End what goes on by itself."""
        await self._control("speak")
        await self._control("swallow-extrinsics", times=0)
        await self._control("refuse-extrinsics", times=0)

    async def note_pool(self) -> None:
        """Note the most that was in the node's pool; it forgets that when it is killed."""
        most = await self._devnet.control("GET", "/pool/most-in-flight")
        self._figures.most_in_flight = max(self._figures.most_in_flight, most)

    async def _control(self, path: str, **parameters: object) -> None:
        await self._devnet.control("POST", f"/{path}", **parameters)
