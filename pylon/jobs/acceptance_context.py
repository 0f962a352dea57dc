"""Where the chain is when a write is accepted: which chain it is, its epoch, the deadline."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from pylon.chain.write_port import ChainWrites, Epoch
from pylon.jobs import epochs
from pylon.jobs.deadlines import deadline_at_acceptance
from pylon.jobs.job_store import JobStore
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import JobKind, NetUid

logger = logging.getLogger(__name__)

CHAIN_TIMEOUT_S: Final = 3.0
"""Longest time, in seconds, for which accepting a write waits for the chain."""
SLOW_CHAIN_TIMEOUT_S: Final = 0.25
"""The same while the chain has not answered a question within `CHAIN_TIMEOUT_S` since the last one
that it did not answer in time."""
REUSE_WINDOW_MS: Final = 72_000
"""While the chain cannot be reached, the same weights join a job that is younger than this, in
milliseconds: six blocks of the real chain."""


@dataclass(frozen=True, slots=True)
class AcceptanceContext:
    """When a write is accepted.

    Attributes:
        accepted_at_ms: in milliseconds since the Unix epoch.
        genesis: of the chain that it is for.
        epoch: of its subnet, at the newest block; None while the chain cannot be reached.
    """

    accepted_at_ms: int
    genesis: str
    epoch: Epoch | None

    def deadline_fields(self, kind: JobKind) -> dict[str, Any]:
        """Return the fields of a job that is accepted now which say until when it is tried."""
        return {} if self.epoch is None else deadline_at_acceptance(kind, self.epoch).updates

    def can_reuse(self, job: Job, netuid: NetUid) -> bool:
        """Return whether a job with the same content does what is asked for now.

        Weights are asked for in an epoch: those of an earlier one do not serve.
        """
        is_done = job.has_ended or job.has_succeeded
        if is_done or job.netuid != netuid:  # the identity may have moved
            return False
        if job.genesis not in {None, self.genesis}:
            return False
        if job.kind is not JobKind.WEIGHTS:
            return True
        if self.epoch is None or job.accepted_block is None:
            return self.accepted_at_ms - job.created_at_ms < REUSE_WINDOW_MS
        return not epochs.has_ended(self.epoch, job.accepted_block)


@dataclass(frozen=True, slots=True)
class _EpochRead:
    """A question to the chain that has not been answered yet."""

    task: asyncio.Task[tuple[str, Epoch]]
    deadline_s: float


class AcceptanceContexts:
    """Tells where the chain is.

    Writes that are accepted at the same time ask the chain once. A chain that does not answer in
    time delays one write by `CHAIN_TIMEOUT_S` and the following ones by `SLOW_CHAIN_TIMEOUT_S` until
    it answers in time again.

    Args:
        chain: that is asked.
        store: which has the chain that jobs are for, for when that cannot be reached.
    """

    def __init__(self, chain: ChainWrites, store: JobStore) -> None:
        self._chain = chain
        self._store = store
        self._last_genesis: str | None = None
        self._reads: dict[NetUid, _EpochRead] = {}
        self._is_slow = False

    async def get(self, netuid: NetUid) -> AcceptanceContext:
        """Return where the chain is now, as far as it can be reached.

        Raises:
            FailureError: RUNTIME_UNSUPPORTED, where the chain's runtime has no such schedule;
                WRONG_CHAIN, where the node is of another chain than the ledger;
                CHAIN_UNAVAILABLE, where the chain cannot be reached and never was;
                NATS_UNAVAILABLE, where the ledger does not answer which chain it is.
        """
        at_ms = time.time_ns() // 1_000_000
        flight = self._reads.get(netuid) or self._start_read(netuid)
        left_s = max(flight.deadline_s - asyncio.get_running_loop().time(), 0.0)
        if self._is_slow:
            left_s = min(left_s, SLOW_CHAIN_TIMEOUT_S)
        # It is not cancelled with this write: others wait for it too, or it shows that the chain
        # is quick again.
        await asyncio.wait({flight.task}, timeout=left_s)
        if not flight.task.done():
            return await self._offline_context(at_ms)
        try:
            genesis, epoch = flight.task.result()
        except TimeoutError:
            return await self._offline_context(at_ms)
        except FailureError as error:
            if error.code in {ErrorCode.RUNTIME_UNSUPPORTED, ErrorCode.WRONG_CHAIN}:
                raise
            return await self._offline_context(at_ms)
        return AcceptanceContext(at_ms, genesis, epoch)

    def _start_read(self, netuid: NetUid) -> _EpochRead:
        until_s = asyncio.get_running_loop().time() + CHAIN_TIMEOUT_S
        task = asyncio.create_task(self._read_chain(netuid), name=f"epoch of subnet {netuid}")
        flight = self._reads[netuid] = _EpochRead(task, until_s)
        task.add_done_callback(lambda _: self._finish_read(netuid, flight))
        return flight

    def _finish_read(self, netuid: NetUid, read: _EpochRead) -> None:
        if self._reads.get(netuid) is read:
            del self._reads[netuid]
        if not read.task.cancelled():
            read.task.exception()  # the writes that waited for it have it

    async def _read_chain(self, netuid: NetUid) -> tuple[str, Epoch]:
        try:
            async with asyncio.timeout(CHAIN_TIMEOUT_S):
                answer = await asyncio.gather(self._chain.genesis(), self._chain.epoch(netuid))
        except TimeoutError:
            if not self._is_slow:
                logger.warning(
                    "Accepting writes without the chain: no answer within %g s", CHAIN_TIMEOUT_S
                )
            self._is_slow = True
            raise
        self._is_slow = False
        self._last_genesis = answer[0]
        return answer

    async def _offline_context(self, at_ms: int) -> AcceptanceContext:
        genesis = self._last_genesis or await self._store.genesis()
        if genesis is None:
            raise FailureError(
                ErrorCode.CHAIN_UNAVAILABLE,
                "The chain cannot be reached and never was, so that it is not known for which "
                "chain the write would be.",
            )
        return AcceptanceContext(at_ms, genesis, None)
