"""The transaction pool: ready extrinsics, future extrinsics, and their status subscribers."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pylon_devnet import pool_errors
from pylon_devnet.block import DevnetBlock
from pylon_devnet.chain_state import Draft, StateReader
from pylon_devnet.execution import AppliedExtrinsic, ExtrinsicExecutor
from pylon_devnet.extrinsics import MalformedExtrinsicError, ParsedExtrinsic, parse_extrinsic
from pylon_devnet.rpc_error import RpcError

MAX_POOL_EXTRINSICS = 8192
MAX_EXTRINSICS_PER_BLOCK = 1000
MAX_APPLIED_RECORDS = 10_000
_FINALITY_TIMEOUT_BLOCKS = 512

StatusCallback = Callable[[Any], None]


@dataclass(slots=True)
class _PoolEntry:
    """An extrinsic in the pool, with its status callbacks."""

    extrinsic: ParsedExtrinsic
    order: int
    death: int | None
    status_callbacks: list[StatusCallback]
    ready: bool = False

    def notify(self, status: Any) -> None:
        for callback in self.status_callbacks:
            callback(status)


@dataclass(slots=True)
class _IncludedExtrinsics:
    """The extrinsics of a block that is not finalized."""

    block_hash: bytes
    entries: list[_PoolEntry] = field(default_factory=list[_PoolEntry])


class TransactionPool:
    """Pending extrinsics by signer and nonce.

    Args:
        executor: validates and applies extrinsics.
        state: returns the newest state.
        block_hash: returns the hash of a block by its number.

    Attributes:
        applied: newest included extrinsics.
        max_pending_per_signer: maximum number of extrinsics of one signer ever pending at once.
    """

    def __init__(
        self,
        executor: ExtrinsicExecutor,
        state: Callable[[], StateReader],
        block_hash: Callable[[int], bytes | None],
    ) -> None:
        self._executor = executor
        self._state = state
        self._block_hash = block_hash
        self._pending: dict[str, dict[int, _PoolEntry]] = {}
        self._sequence = count()
        self._included: dict[int, _IncludedExtrinsics] = {}
        self._selected: list[_PoolEntry] = []
        self.applied: deque[AppliedExtrinsic] = deque(maxlen=MAX_APPLIED_RECORDS)
        self.max_pending_per_signer = 0

    def __len__(self) -> int:
        return sum(map(len, self._pending.values()))

    def submit(self, raw: bytes, on_status: StatusCallback | None = None) -> bytes:
        """Add an extrinsic; return its hash.

        Args:
            raw: the extrinsic with length prefix.
            on_status: called with every status of the extrinsic.

        Raises:
            RpcError: the extrinsic is rejected.
        """
        try:
            extrinsic = parse_extrinsic(raw)
        except MalformedExtrinsicError as error:
            raise pool_errors.malformed(str(error)) from None
        state = self._state()
        number = state.number + 1
        signer_entries = self._pending.get(extrinsic.signer, {})
        same_nonce_entry = signer_entries.get(extrinsic.nonce)
        if same_nonce_entry is not None and same_nonce_entry.extrinsic.hash == extrinsic.hash:
            raise pool_errors.already_imported(extrinsic.hash)
        self._executor.check(extrinsic, state, number, self._block_hash)
        if same_nonce_entry is not None and extrinsic.tip <= same_nonce_entry.extrinsic.tip:
            raise pool_errors.priority_too_low(extrinsic.tip, same_nonce_entry.extrinsic.tip)
        if same_nonce_entry is None and len(self) >= MAX_POOL_EXTRINSICS:
            raise pool_errors.pool_full()
        if same_nonce_entry is not None:
            same_nonce_entry.notify({"usurped": "0x" + extrinsic.hash.hex()})
        entry = self._new_entry(extrinsic, number, on_status)
        signer_entries = self._pending.setdefault(extrinsic.signer, {})
        signer_entries[extrinsic.nonce] = entry
        self.max_pending_per_signer = max(self.max_pending_per_signer, len(signer_entries))
        self._promote(state, extrinsic.signer)
        if not entry.ready:
            entry.notify("future")
        return extrinsic.hash

    def next_nonce(self, signer: str) -> int:
        """Return the next nonce of a signer after its pending extrinsics."""
        nonce = _nonce(self._state(), signer)
        signer_entries = self._pending.get(signer, {})
        while nonce in signer_entries:
            nonce += 1
        return nonce

    def fee(self, raw: bytes) -> int:
        """Return the fee of an extrinsic in rao, without verifying its signature.

        Raises:
            ValueError: it is not an extrinsic of this chain.
        """
        return self._executor.fee(parse_extrinsic(raw).call, len(raw))

    def pending(self) -> list[bytes]:
        """Return the ready extrinsics in order of arrival."""
        return [entry.extrinsic.raw for entry in self._ready()]

    def apply(self, draft: Draft, first_index: int) -> tuple[list[bytes], list[dict[str, Any]]]:
        """Apply the ready extrinsics to the block being built; see `DevnetChain.make_block`."""
        event_records: list[dict[str, Any]] = []
        self._selected = []
        for entry in list(self._ready())[:MAX_EXTRINSICS_PER_BLOCK]:
            extrinsic = entry.extrinsic
            if extrinsic.nonce != _nonce(draft, extrinsic.signer):
                continue
            try:
                self._executor.check_inclusion(extrinsic, draft, draft.number, self._block_hash)
            except RpcError:
                self._drop(entry, "invalid")
                continue
            index = first_index + len(self._selected)
            new_records, applied = self._executor.apply(draft, index, extrinsic)
            event_records += new_records
            self.applied.append(applied)
            self._selected.append(entry)
        return [entry.extrinsic.raw for entry in self._selected], event_records

    def on_block(self, block: DevnetBlock) -> None:
        """Update all extrinsics after a new block, and notify their subscribers."""
        for entry in self._selected:
            del self._pending[entry.extrinsic.signer][entry.extrinsic.nonce]
            entry.notify({"inBlock": "0x" + block.hash.hex()})
        if self._selected:
            self._included[block.number] = _IncludedExtrinsics(block.hash, self._selected)
        self._selected = []
        state = self._state()
        for entry in list(self._all()):
            is_dead = entry.death is not None and state.number + 1 >= entry.death
            if is_dead or entry.extrinsic.nonce < _nonce(state, entry.extrinsic.signer):
                self._drop(entry, "invalid")
        for signer in list(self._pending):
            if self._pending[signer]:
                self._promote(state, signer)
            else:
                del self._pending[signer]
        for number in [n for n in self._included if n <= block.number - _FINALITY_TIMEOUT_BLOCKS]:
            unfinalized = self._included.pop(number)
            for entry in unfinalized.entries:
                entry.notify({"finalityTimeout": "0x" + unfinalized.block_hash.hex()})

    def on_finalized(self, number: int) -> None:
        """Notify the subscribers of a block's extrinsics that it is finalized."""
        included = self._included.pop(number, None)
        if included is not None:
            for entry in included.entries:
                entry.notify({"finalized": "0x" + included.block_hash.hex()})

    def on_retracted(self, blocks: list[DevnetBlock]) -> None:
        """Return the extrinsics of retracted blocks (oldest first) to the pool.

        Subscribers of blocks that were not finalized are notified; the other subscriptions have
        ended.
        """
        state = self._state()
        for block in blocks:
            included = self._included.pop(block.number, None)
            entries_by_raw = (
                {one.extrinsic.raw: one for one in included.entries} if included else {}
            )
            for raw in block.extrinsics[1:]:  # the first sets the time
                entry = entries_by_raw.get(raw) or self._new_entry(
                    parse_extrinsic(raw), state.number + 1, None
                )
                entry.notify({"retracted": "0x" + block.hash.hex()})
                entry.ready = False
                signer_entries = self._pending.setdefault(entry.extrinsic.signer, {})
                signer_entries.setdefault(entry.extrinsic.nonce, entry)
        still_applied = [
            applied for applied in self.applied if applied.block_number <= state.number
        ]
        self.applied = deque(still_applied, maxlen=MAX_APPLIED_RECORDS)
        for signer in self._pending:
            self._promote(state, signer)

    def drop_all(self) -> int:
        """Drop all pending extrinsics; return their number."""
        entries = list(self._all())
        for entry in entries:
            self._drop(entry, "dropped")
        return len(entries)

    def _new_entry(
        self, extrinsic: ParsedExtrinsic, number: int, on_status: StatusCallback | None
    ) -> _PoolEntry:
        status_callbacks = [] if on_status is None else [on_status]
        return _PoolEntry(
            extrinsic, next(self._sequence), extrinsic.era.death(number), status_callbacks
        )

    def _all(self) -> Iterator[_PoolEntry]:
        for signer_entries in self._pending.values():
            yield from signer_entries.values()

    def _ready(self) -> list[_PoolEntry]:
        return sorted(
            (entry for entry in self._all() if entry.ready),
            key=lambda entry: (entry.extrinsic.nonce, entry.order),
        )

    def _promote(self, state: StateReader, signer: str) -> None:
        nonce = _nonce(state, signer)
        signer_entries = self._pending.get(signer, {})
        while nonce in signer_entries:
            if not signer_entries[nonce].ready:
                signer_entries[nonce].ready = True
                signer_entries[nonce].notify("ready")
            nonce += 1

    def _drop(self, entry: _PoolEntry, status: str) -> None:
        self._pending[entry.extrinsic.signer].pop(entry.extrinsic.nonce, None)
        entry.notify(status)


def _nonce(state: StateReader, signer: str) -> int:
    return int(state.get("System", "Account", signer)["nonce"])
