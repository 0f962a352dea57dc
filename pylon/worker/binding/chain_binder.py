"""The part of a worker that binds the state to its chain, and monitors the binding."""

import asyncio
import logging
from typing import Final, Protocol

from pylon.chain.chain_guard import ChainGuard, mismatch_text
from pylon.chain.chain_identity import ChainIdentity
from pylon.jobs.bucket_port import BucketPort
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.stored_job import UnreadableEntryError
from pylon.worker.binding.legacy_state_check import UNKNOWN_NETWORK, BlockHashReader, find_mismatch
from pylon.worker.binding.remedy import mismatch_remedy, reset_command
from pylon_client.contract.failures import FailureError
from pylon_client.events.stored_events import EventLogReader
from pylon_client.nats.cancellation import raise_if_cancelled
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 5.0
"""Seconds between two reads of the record while the state is bound."""
RETRY_DELAY_S: Final = 1.0
"""Seconds between two attempts while the state is not bound."""
START_TIMEOUT_S: Final = 6.0
"""Timeout of the check of the record and the node's genesis at the start, in seconds."""


UNREADABLE_REMEDY: Final = (
    "It names the chain that the state belongs to, and was written by another version: run that "
    f"version, or set the state aside with `{reset_command(UNKNOWN_NETWORK)}`."
)


class ForeignStateError(Exception):
    """The state belongs to another chain than the node; the text contains the remedy."""


class _GenesisReader(BlockHashReader, Protocol):
    async def genesis(self) -> str:
        """Return the genesis hash of the node."""
        ...


class ChainBinder:
    """Creates the chain record if it is missing, and binds the guard to its chain.

    Args:
        guard: refuses nodes of any other chain.
        network: name of the worker's network, without secrets.
        node: reads from the worker's chain node.
        store: bucket of the job store.
        events: reader of stored events.
        connection: connection to NATS; each reconnect is followed by a check.
    """

    def __init__(
        self,
        guard: ChainGuard,
        network: str,
        node: _GenesisReader,
        store: BucketPort,
        events: EventLogReader,
        connection: NatsConnection,
    ) -> None:
        self._guard = guard
        self._network = network
        self._node = node
        self._store = store
        self._record = ChainRecord(store)
        self._events = events
        self._connection = connection

    async def start(self) -> None:
        """Bind the state or check its chain, if NATS and the node respond in time.

        Raises:
            ForeignStateError: the state belongs to another chain than the node.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._check()
                if self._guard.bound is not None:
                    self._guard.problem = self._guard.mismatch(await self._node.genesis())
        except TimeoutError:
            logger.warning("No genesis from the chain node within %g s", START_TIMEOUT_S)
        except UnreadableEntryError as error:
            raise ForeignStateError(f"{error.failure.detail} {UNREADABLE_REMEDY}") from error
        except FailureError as error:
            logger.warning("Cannot read the genesis of the chain node: %s", error)
        if self._guard.problem:
            raise ForeignStateError(self._guard.problem)

    async def run(self) -> None:
        """Check periodically, and after each reconnect to NATS, until cancelled.

        Raises:
            ForeignStateError: the state was bound to another chain meanwhile.
        """
        gap = asyncio.Event()
        forget = self._connection.on_gap(gap.set)
        try:
            while True:
                try:
                    await self._check()
                except UnreadableEntryError as error:
                    self._guard.set_problem(f"{error.failure.detail} {UNREADABLE_REMEDY}")
                except FailureError as error:
                    logger.debug("Cannot check the chain record: %s", error)
                raise_if_cancelled()
                try:
                    async with asyncio.timeout(
                        RETRY_DELAY_S if self._guard.bound is None else CHECK_INTERVAL_S
                    ):
                        await gap.wait()
                except TimeoutError:
                    continue
                gap.clear()
        finally:
            forget()

    async def _check(self) -> None:
        bound = await self._record.get()
        if bound is None:
            chain = await self._identify_chain()
            if chain is None:
                return
            bound = await self._record.bind(chain)
            logger.info("Bound the state of this deployment to the chain %s", bound)
        if self._guard.genesis not in {None, bound.genesis}:
            # The data in this worker's memory belongs to the other chain.
            raise ForeignStateError(
                f"the state was set aside while this worker ran, and belongs to {bound} now: it "
                "stops, to be restarted"
            )
        self._guard.bind(bound)

    async def _identify_chain(self) -> ChainIdentity | None:
        """Return the node's chain, or None if the state belongs to another chain."""
        chain = ChainIdentity(self._network, await self._node.genesis())
        if self._guard.genesis == chain.genesis:
            return chain  # the job store was lost while this worker ran
        found = await find_mismatch(chain.genesis, self._node, self._store, self._events)
        if found is None:
            self._guard.problem = ""
            return chain
        text = f"{mismatch_text(found.chain, chain)} ({found.reason})"
        self._guard.set_problem(f"{text}: {mismatch_remedy(found.chain)}")
        return None
