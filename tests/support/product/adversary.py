"""A world in memory for jobs: durable state, a chain, and processes that crash or pause anywhere.

Everything that a process does goes through one of its ports, and every use of a port is a step at
which the adversary may inject a fault. State of the world survives; state of a process does not.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from random import Random
from typing import Any, NoReturn

from pydantic import ValidationError

from pylon.chain.write_port import (
    ChainTip,
    CommitRevealState,
    Epoch,
    Inclusion,
    Refusal,
    RefusalKind,
    RefusedError,
    RevealStatus,
    SignedCall,
    TimelockedCommitmentCall,
    WeightsCall,
    WeightsState,
    WriteCall,
)
from pylon.common.signer import Signer
from pylon.jetstream.bucket import ABSENT, ConflictError, Entry
from pylon.jetstream.lease import Lease, LeaseTakenError
from pylon.jetstream.ordered_bucket import Page
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import ExtrinsicRecord
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import (
    BlockNumber,
    Hotkey,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
    Revision,
)

ERA_BLOCKS = 8
BLOCK_TIME_S = 12.0
OWN_UID = NeuronUid(0)
WAKING = 0.2
"""Probability, per block, that the paused processes continue."""


class Crash(BaseException):
    """The process dies here."""


class Fault(Enum):
    """A fault that the adversary injects at a step."""

    CRASH_BEFORE = "dies before it takes effect"
    CRASH_AFTER = "dies after it took effect"
    LOST_REPLY = "takes effect, but the reply is lost"
    REFUSED_CONNECTION = "does not take effect, and says so"
    DOZE = "stops for a while and goes on later, its lease long gone"
    DOZE_AFTER = "takes effect, then stops for a while"
    SWALLOW = "an extrinsic is taken and forgotten"
    OUTDATED = "an extrinsic is refused as outdated"
    TOO_FAST = "an extrinsic is refused by a rate limit"
    FAILS_IN_BLOCK = "an extrinsic is included, and its call fails"
    EPOCH = "the subnet's owner triggers an epoch"
    DEREGISTERED = "the hotkey is not registered for some blocks"


@dataclass
class Extrinsic:
    """Something that was sent."""

    signed: SignedCall
    own: Hotkey
    call: WriteCall
    fails: bool = False
    swallowed: bool = False
    block: int | None = None

    @property
    def mark(self) -> Any:
        """Return the part of the call by which the calls of different jobs differ."""
        return self.call


@dataclass(eq=False)
class _Holder:
    """The holder of a lease, and whether it still renews the lease."""

    renews: bool = False


@dataclass
class World:
    """The state outside of the processes.

    Attributes:
        faults: the fault at each step, counted over all processes.
        random: decides when paused processes continue.
        includes_after_blocks: blocks that every extrinsic waits in the pool.
        steps: the number of steps so far.
        applied: successful calls, in order.
        broken: descriptions of violated guarantees.
        has_markers: whether all jobs were written by this version, which marks open jobs.
    """

    faults: dict[int, Fault] = field(default_factory=dict[int, Fault])
    tempo: int = 1000
    rate_limit_blocks: int = 0
    commit_reveal: bool = False
    registered: set[Hotkey] | None = None
    own_uid: NeuronUid | None = OWN_UID
    is_deregistered: bool = False
    has_permit: bool = True
    least_weights: int = 0
    unrevealed_commits: int = 0
    genesis: str = "0xa"
    reveal_round: int = 10**9
    reveal_statuses: dict[int, RevealStatus] = field(default_factory=dict[int, RevealStatus])
    triggered: list[int] = field(default_factory=list[int])
    began_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    began_at: int = 100
    includes_after_blocks: int = 0
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 -- guards nothing
    steps: int = 0
    best: int = 100
    store: dict[str, Entry] = field(default_factory=dict[str, Entry])
    revisions: Any = field(default_factory=lambda: count(1))
    queues: dict[str, deque[JobId]] = field(default_factory=dict[str, "deque[JobId]"])
    queued: set[JobId] = field(default_factory=set[JobId])
    leases: dict[str, _Holder] = field(default_factory=dict[str, _Holder])
    fences: Any = field(default_factory=lambda: count(1))
    nonces: Counter[Hotkey] = field(default_factory=Counter[Hotkey])
    sent: list[Extrinsic] = field(default_factory=list[Extrinsic])
    applied: list[Extrinsic] = field(default_factory=list[Extrinsic])
    last_update: dict[Hotkey, int] = field(default_factory=dict[Hotkey, int])
    salts: Any = field(default_factory=count)
    dozing: asyncio.Event = field(default_factory=asyncio.Event)
    asleep: set["Process"] = field(default_factory=set["Process"])
    writes: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    broken: list[str] = field(default_factory=list[str])
    has_markers: bool = True

    @property
    def final(self) -> int:
        return self.best - 1

    def tick(self) -> None:
        """Make a block with the extrinsics that wait for it; sleeping processes may wake."""
        self.best += 1
        if self.random.random() < WAKING:
            self.dozing.set()
            self.is_deregistered = False
        self.leases = {name: holder for name, holder in self.leases.items() if holder.renews}
        for extrinsic in self.sent:
            record = extrinsic.signed.record
            if (
                extrinsic.block is None
                and not extrinsic.swallowed
                and self.best > extrinsic.signed.signed_at_block + self.includes_after_blocks
                and self.best <= record.last_valid_block
                and record.nonce == self.nonces[extrinsic.own]
            ):
                extrinsic.block = self.best
                self.nonces[extrinsic.own] += 1
                if not extrinsic.fails:
                    self.applied.append(extrinsic)
                    self.last_update[extrinsic.own] = self.best

    def epoch(self, block: int) -> Epoch:
        """Return the epoch of a block: by the schedule, or as the owner has triggered it."""
        if self.tempo == 0:
            return Epoch(BlockNumber(block), 0, BlockNumber(0), None)
        began = max([0, *(each for each in self.triggered if each <= block)])
        last = block - (block - began) % self.tempo
        return Epoch(
            BlockNumber(block), self.tempo, BlockNumber(last), BlockNumber(last + self.tempo)
        )

    def made_at_ms(self, block: int) -> int:
        """Return the time of a block, in ms; the first head is as old as the world."""
        return self.began_ms + int((block - self.began_at) * BLOCK_TIME_S * 1000)

    def in_the_air(self, own: Hotkey) -> list[Extrinsic]:
        """Return the extrinsics of a hotkey that can still be included."""
        return [
            extrinsic
            for extrinsic in self.sent
            if extrinsic.own == own
            and extrinsic.block is None
            and self.best < extrinsic.signed.record.last_valid_block
        ]

    def check_markers(self) -> None:
        """Check that every open job has its marker: a sweep would not find it otherwise."""
        if not self.has_markers:
            return
        for key, entry in self.store.items():
            if key.startswith("job."):
                with contextlib.suppress(ValidationError):
                    job = JobRecord.model_validate_json(entry.value).job
                    marker = f"open.{job.identity}.{job.kind}.{job.job_id}"
                    if not job.has_ended and marker not in self.store:
                        self.broken.append(f"{key} is open and has no marker")

    def process(self) -> "Process":
        """Start a process."""
        return Process(self)


class Process:
    """The ports of one process: its store, queue, leases and chain."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self._is_asleep = False

    async def _strike(self, effect: Callable[[], Any]) -> Any:
        """Take one step: its effect, and the adversary's fault."""
        await self._require_running()
        world = self.world
        fault = world.faults.get(world.steps)
        world.steps += 1
        await asyncio.sleep(0)
        match fault:
            case Fault.CRASH_BEFORE:
                self._die()
            case Fault.CRASH_AFTER:
                with contextlib.suppress(Exception):
                    effect()
                self._die()
            case Fault.LOST_REPLY:
                effect()
                raise _unavailable()
            case Fault.REFUSED_CONNECTION:
                raise _unavailable()
            case Fault.EPOCH:
                world.triggered.append(world.best + 1)
            case Fault.DEREGISTERED:
                world.is_deregistered = True
            case Fault.DOZE:
                await self._doze()
            case Fault.DOZE_AFTER:
                result = effect()
                await self._doze()
                return result
            case _:
                pass
        return effect()

    async def _require_running(self) -> None:
        if self._is_asleep:  # in another of its tasks
            await self.world.dozing.wait()
        if self.dead:
            raise Crash

    def _die(self) -> NoReturn:
        self.dead = True
        raise Crash

    async def _doze(self) -> None:
        self.world.leases.clear()
        self.world.asleep.add(self)
        self._is_asleep = True
        await self.world.dozing.wait()
        self._is_asleep = False

    # The store.

    async def get(self, key: str) -> Entry | None:
        return await self._strike(lambda: self.world.store.get(key))

    async def put(
        self, key: str, value: bytes, *, revision: Revision, ttl_s: int | None = None
    ) -> Revision:
        def write() -> Revision:
            world = self.world
            held = world.store.get(key)
            if (ABSENT if held is None else held.revision) != revision:
                raise ConflictError(key)
            written = Revision(next(world.revisions))
            world.store[key] = Entry(key, value, written)
            world.writes.append((key, value))
            world.check_markers()
            return written

        return await self._strike(write)

    async def remove(self, key: str, revision: Revision) -> None:
        def remove() -> None:
            held = self.world.store.get(key)
            if held is not None and held.revision == revision:
                del self.world.store[key]
                self.world.check_markers()

        await self._strike(remove)

    async def keys(self, prefix: str) -> list[str]:
        return await self._strike(
            lambda: [key for key in self.world.store if key.startswith(f"{prefix}.")]
        )

    async def read(self, keys: Iterable[str]) -> list[Entry]:
        return await self._strike(
            lambda: [self.world.store[key] for key in keys if key in self.world.store]
        )

    async def newest_first(self, prefix: str, *, before: Revision | None, count: int) -> Page:
        def read() -> Page:
            found = [
                entry
                for key, entry in self.world.store.items()
                if key.startswith(f"{prefix}.") and (before is None or entry.revision < before)
            ]
            found.sort(key=lambda entry: entry.revision, reverse=True)
            return Page(found[:count], is_last=len(found) <= count)

        return await self._strike(read)

    async def oldest_first(self, prefix: str, *, after: Revision, count: int) -> Page:
        def read() -> Page:
            found = [
                entry
                for key, entry in self.world.store.items()
                if key.startswith(f"{prefix}.") and entry.revision > after
            ]
            found.sort(key=lambda entry: entry.revision)
            return Page(found[:count], is_last=len(found) <= count)

        return await self._strike(read)

    async def entries(self, prefix: str) -> list[Entry]:
        return await self._strike(
            lambda: [e for key, e in self.world.store.items() if key.startswith(f"{prefix}.")]
        )

    # The queue.

    async def publish(self, subject: JobSubject, job_id: JobId) -> bool:
        def write() -> bool:
            is_new = job_id not in self.world.queued
            if is_new:
                self.world.queued.add(job_id)
                queue = f"{subject.identity}.{subject.kind}"
                self.world.queues.setdefault(queue, deque()).append(job_id)
            return is_new

        return await self._strike(write)

    # Leases.

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[Lease]:
        me = _Holder()

        def take() -> Lease:
            if name in self.world.leases:
                raise LeaseTakenError(name)
            self.world.leases[name] = me
            fence = Revision(next(self.world.fences))
            return Lease(name, fence, fence)

        lease = await self._strike(take)
        me.renews = True
        try:
            yield lease
        finally:
            me.renews = False
            if not self.dead and self.world.leases.get(name) is me:
                del self.world.leases[name]

    # The chain.

    async def tip(self) -> ChainTip:
        world = self.world
        return await self._strike(
            lambda: ChainTip(BlockNumber(world.best), BlockNumber(world.final))
        )

    async def block_time_s(self) -> float:
        return BLOCK_TIME_S

    async def genesis(self) -> str:
        return await self._strike(lambda: self.world.genesis)

    async def block_timestamp_ms(self, block: BlockNumber) -> int:
        return await self._strike(lambda: self.world.made_at_ms(block))

    async def epoch(self, netuid: NetUid, block: BlockNumber | None = None) -> Epoch:
        if block is not None and block < self.world.best:
            return await self._strike(lambda: self.world.epoch(block))
        return await self._strike(self._epoch)

    def _epoch(self) -> Epoch:
        world = self.world
        return world.epoch(world.best)

    async def weights_state(
        self,
        netuid: NetUid,
        mechanism: MechanismId,
        hotkey: Hotkey,
        weighted_hotkeys: Sequence[Hotkey],
    ) -> WeightsState:
        world = self.world

        def read() -> WeightsState:
            known = [
                key
                for key in weighted_hotkeys
                if world.registered is None or key in world.registered
            ]
            return WeightsState(
                block=BlockNumber(world.best),
                epoch=self._epoch(),
                own_uid=None if world.is_deregistered else world.own_uid,
                has_permit=world.has_permit,
                uids={key: NeuronUid(uid) for uid, key in enumerate(known, 1)},
                commit_reveal=self._commit_reveal() if world.commit_reveal else None,
                unrevealed_commits=world.unrevealed_commits,
                rate_limit_blocks=world.rate_limit_blocks,
                last_update_block=BlockNumber(world.last_update.get(hotkey, 0)),
                min_allowed_weights=world.least_weights,
            )

        return await self._strike(read)

    def _commit_reveal(self) -> CommitRevealState:
        epoch = self._epoch()
        return CommitRevealState(4, epoch.block, epoch.tempo, 1, epoch.start_block, 0, 0, 0)

    async def sign(self, call: WriteCall, signer: Signer) -> SignedCall:
        world = self.world
        own = Hotkey(signer.ss58_address)

        def sign() -> SignedCall:
            record = ExtrinsicRecord(
                hash=f"0x{next(world.salts):064x}",
                nonce=world.nonces[own] + len(world.in_the_air(own)),
                era_birth=BlockNumber(world.final),
                era_period=ERA_BLOCKS,
            )
            is_timelocked = world.commit_reveal and isinstance(call, WeightsCall)
            is_timelocked = is_timelocked or isinstance(call, TimelockedCommitmentCall)
            reveal_round = world.reveal_round if is_timelocked else None
            data = f"{own}".encode()
            signed = SignedCall(record, data, BlockNumber(world.best), world.genesis, reveal_round)
            self._signed[record.hash] = (own, call)
            return signed

        return await self._strike(sign)

    @property
    def _signed(self) -> dict[str, tuple[Hotkey, WriteCall]]:
        return self.world.__dict__.setdefault("signed", {})

    async def submit(self, signed: SignedCall) -> None:
        world = self.world
        own, call = self._signed[signed.record.hash]
        fault = world.faults.get(world.steps)

        def send() -> None:
            if any(known.signed.record == signed.record for known in world.sent):
                world.broken.append("the same extrinsic was sent twice")
            if world.best >= signed.record.last_valid_block or (
                signed.record.nonce < world.nonces[own]
            ):
                raise RefusedError(_OUTDATED)
            if fault is Fault.OUTDATED:
                raise RefusedError(_OUTDATED)
            if fault is Fault.TOO_FAST:
                raise RefusedError(_TOO_FAST)
            if world.in_the_air(own):
                world.broken.append("two extrinsics of one hotkey in the air")
            world.sent.append(
                Extrinsic(
                    signed,
                    own,
                    call,
                    fails=fault is Fault.FAILS_IN_BLOCK,
                    swallowed=fault is Fault.SWALLOW,
                )
            )

        await self._strike(send)

    async def find_extrinsic(
        self, record: ExtrinsicRecord, first: BlockNumber, last: BlockNumber
    ) -> Inclusion | None:
        world = self.world

        def look() -> Inclusion | None:
            for extrinsic in world.sent:
                block = extrinsic.block
                if extrinsic.signed.record == record and block and first <= block <= last:
                    refusal = _TOO_FAST if extrinsic.fails else None
                    return Inclusion(BlockNumber(block), refusal)
            return None

        return await self._strike(look)

    async def is_on_chain(
        self,
        kind: JobKind,
        netuid: NetUid,
        mechanism: MechanismId | None,
        hotkey: Hotkey,
        block: BlockNumber,
    ) -> bool:
        applied = self.world.applied
        return await self._strike(
            lambda: any(e.own == hotkey and e.block == block for e in applied)
        )

    async def unsupported_writes(self, netuid: NetUid) -> dict[str, str]:
        return {}

    async def is_registered(self, netuid: NetUid, hotkey: Hotkey) -> bool:
        return True

    async def next_certificate_block(self, netuid: NetUid, hotkey: Hotkey) -> BlockNumber:
        return await self._strike(lambda: BlockNumber(0))

    async def reveal_status(
        self, netuid: NetUid, hotkey: Hotkey, commitment_block: BlockNumber
    ) -> RevealStatus:
        return await self._strike(
            lambda: self.world.reveal_statuses.get(commitment_block, RevealStatus.PENDING)
        )

    async def sleep(self, _seconds: float) -> None:
        if self.dead:
            raise Crash
        self.world.tick()
        await asyncio.sleep(0)


def _unavailable() -> FailureError:
    return FailureError(ErrorCode.CHAIN_UNAVAILABLE, "Cut off.")


_OUTDATED = Refusal(ErrorCode.CHAIN_REJECTED, RefusalKind.RETRY, "Outdated.")
_TOO_FAST = Refusal(ErrorCode.RATE_LIMITED, RefusalKind.RATE_LIMITED, "Too fast.")
