"""Read the chain's genesis and epoch when a write is accepted, within a time limit."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pylon.chain.write_port import ChainWrites, Epoch
from pylon.jobs import epochs
from pylon.jobs.deadlines import deadline_at_acceptance
from pylon.jobs.job_store import JobStore
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import BlockNumber, JobKind, NetUid

logger = logging.getLogger(__name__)

CHAIN_TIMEOUT_S: Final = 3.0
"""Timeout of the chain read that accepting a write waits for, in seconds."""
SLOW_CHAIN_TIMEOUT_S: Final = 0.25
"""Timeout, in seconds, after a read has exceeded `CHAIN_TIMEOUT_S` and until one succeeds again."""
EPOCH_REUSE_S: Final = 1.0
"""Maximum age, in seconds, of a chain read that later writes use while no newer head is observed:
far less than a block of the real chain."""
REUSE_WINDOW_MS: Final = 72_000
"""Maximum age, in milliseconds, of a weights job that the same weights reuse while the chain cannot
be reached: six blocks of the real chain."""


@dataclass(frozen=True, slots=True)
class AcceptanceContext:
    """Time and chain state at which a write is accepted.

    Attributes:
        accepted_at_ms: milliseconds since the Unix epoch.
        genesis: hash of the first block of the chain that the write is for.
        epoch: epoch of the subnet at the newest block; None if the chain cannot be reached.
    """

    accepted_at_ms: int
    genesis: str
    epoch: Epoch | None

    def deadline_fields(self, kind: JobKind) -> dict[str, Any]:
        """Return the deadline fields of a job that is accepted now."""
        return {} if self.epoch is None else deadline_at_acceptance(kind, self.epoch).updates

    def can_reuse(self, job: Job, netuid: NetUid) -> bool:
        """Return whether a job with the same content already answers a new request.

        A request for weights is about the current epoch, so a weights job of an earlier epoch
        cannot be reused.
        """
        is_done = job.has_ended or job.has_succeeded
        if is_done or job.netuid != netuid:  # the identity may have moved to another subnet
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
    """A read of genesis and epoch that is in progress."""

    task: asyncio.Task[tuple[str, Epoch]]
    deadline_s: float


@dataclass(frozen=True, slots=True)
class _KnownEpoch:
    """A completed read of genesis and epoch."""

    genesis: str
    epoch: Epoch
    read_at_s: float


class AcceptanceContexts:
    """Creates the acceptance context of writes.

    Writes to one subnet that are accepted at the same time, or within `EPOCH_REUSE_S` and before
    the next head, share one chain read. A slow chain
    delays one write by `CHAIN_TIMEOUT_S`, and the following ones by `SLOW_CHAIN_TIMEOUT_S` until a
    read completes in time again.

    Args:
        chain: the chain to read.
        store: the job store; it holds the genesis to use while the chain cannot be reached.
        newest_head: returns the newest head that this worker has observed; None if it is unknown,
            in which case reads are not used again.
    """

    def __init__(
        self, chain: ChainWrites, store: JobStore, newest_head: Callable[[], BlockNumber | None]
    ) -> None:
        self._chain = chain
        self._store = store
        self._newest_head = newest_head
        self._known: dict[NetUid, _KnownEpoch] = {}
        self._last_genesis: str | None = None
        self._reads: dict[NetUid, _EpochRead] = {}
        self._is_slow = False

    async def get(self, netuid: NetUid) -> AcceptanceContext:
        """Return the current context; it has no epoch if the chain cannot be reached.

        Raises:
            FailureError: RUNTIME_UNSUPPORTED if the chain's runtime has no such epochs; WRONG_CHAIN
                if the node is of another chain than the job store; CHAIN_UNAVAILABLE if the chain
                cannot be reached and its genesis is unknown; NATS_UNAVAILABLE if the job store
                does not answer.
        """
        at_ms = time.time_ns() // 1_000_000
        known = self._known.get(netuid)
        if known is not None and self._is_current(known):
            return AcceptanceContext(at_ms, known.genesis, known.epoch)
        flight = self._reads.get(netuid) or self._start_read(netuid)
        left_s = max(flight.deadline_s - asyncio.get_running_loop().time(), 0.0)
        if self._is_slow:
            left_s = min(left_s, SLOW_CHAIN_TIMEOUT_S)
        # The read is not cancelled with this write: other writes wait for it, or it shows that the
        # chain answers in time again.
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

    def _is_current(self, known: _KnownEpoch) -> bool:
        age_s = asyncio.get_running_loop().time() - known.read_at_s
        head = self._newest_head()
        return age_s < EPOCH_REUSE_S and head is not None and known.epoch.block >= head

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
            read.task.exception()  # the waiting writes have received it

    async def _read_chain(self, netuid: NetUid) -> tuple[str, Epoch]:
        began_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CHAIN_TIMEOUT_S):
                answer = await asyncio.gather(self._chain.genesis(), self._chain.epoch(netuid))
        except TimeoutError:
            if not self._is_slow:
                logger.warning(
                    "Accepting writes without chain state: no response within %g s", CHAIN_TIMEOUT_S
                )
            self._is_slow = True
            raise
        self._is_slow = False
        self._last_genesis, epoch = answer
        self._known[netuid] = _KnownEpoch(self._last_genesis, epoch, began_s)
        return answer

    async def _offline_context(self, at_ms: int) -> AcceptanceContext:
        genesis = self._last_genesis or await self._store.genesis()
        if genesis is None:
            raise FailureError(
                ErrorCode.CHAIN_UNAVAILABLE,
                "The chain cannot be reached, and its genesis is unknown: it was never reached.",
            )
        return AcceptanceContext(at_ms, genesis, None)
