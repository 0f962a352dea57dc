"""The simulated chain: genesis, block production, past states and reorgs."""

import time
from collections.abc import Callable
from typing import Any

from pylon_devnet import system_events
from pylon_devnet.activity import simulate_activity
from pylon_devnet.block import DevnetBlock, seal_block
from pylon_devnet.block_store import BlockStore
from pylon_devnet.chain_state import Draft, PastState, StateStorage
from pylon_devnet.codec import Codec, blake2b_256
from pylon_devnet.commitment_reveals import TimelockedCommitments
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.epoch_run import run_due_epochs
from pylon_devnet.population import populate
from pylon_devnet.runtime.runtime_metadata import (
    EXTRINSIC_VERSION,
    TRANSACTION_VERSION,
    build_metadata,
)
from pylon_devnet.runtime.scale_encoding import encode_bytes
from pylon_devnet.state_history import History, StateDiscardedError
from pylon_devnet.weight_reveals import WeightReveals

__all__ = ["DevnetChain", "StateDiscardedError", "UnknownBlockError"]

_DRAND_GENESIS_S = 1_692_803_367  # of the quicknet beacon that the chain reads
_DRAND_PERIOD_S = 3
_BLOCK_HASH_COUNT = 2400  # System.BlockHashCount

ApplyExtrinsics = Callable[[Draft, int], tuple[list[bytes], list[dict[str, Any]]]]
"""Applies extrinsics to a draft from an index on; returns those included and their events."""


class UnknownBlockError(Exception):
    """No block has the requested hash or number."""


class DevnetChain:
    """A chain whose blocks are made by a single node.

    Args:
        options: options of the devnet.

    Attributes:
        best: newest block.
        finalized_number: number of the newest finalized block.
        genesis_hash: hash of block 0; depends on the metadata and the seed.
        codec: codec of the runtime.
        metadata: metadata of the runtime.
        declaration: declaration of the runtime.
        history: history of the state.
        reveals: plaintexts of committed weights.
        timelocked_commitments: timelocked commitments.

    Raises:
        ValueError: the state folder contains another chain.
    """

    def __init__(self, options: DevnetOptions) -> None:
        self._options = options
        self._store = BlockStore(options.state, fresh=options.fresh)
        try:
            self._load(options)
        except BaseException:
            self._store.close()
            raise

    def _load(self, options: DevnetOptions) -> None:
        """Start with genesis, or resume from the newest stored block."""
        slot_ms = self._stored_slot_ms(round(options.block_time_s * 1000))
        self.metadata = build_metadata(slot_ms, options.runtime)
        self.declaration = self.metadata.declaration
        self.codec = Codec(
            self.metadata.encoded,
            spec_version=self.declaration.spec_version,
            transaction_version=TRANSACTION_VERSION,
        )
        self._slot_ms = slot_ms
        self.history = History()
        self._storage = StateStorage(self.codec, self.history)
        self.reveals = WeightReveals()
        self.timelocked_commitments = TimelockedCommitments(self.declaration.spec_version)
        self._scheduled_changes: list[Callable[[Draft], None]] = []
        self._forks = int(self._store.get_property("forks") or 0)
        genesis, changes = self._genesis()
        self.genesis_hash = genesis.hash
        best = self._store.best()
        if best is None:
            self.history.write(0, changes)
            self._store.add(genesis, changes, ())
            best = genesis
        else:
            self._resume(best)
        self.best = best
        self.finalized_number = max(0, best.number - 1)

    def close(self) -> None:
        """Close the block store."""
        self._store.close()

    def state_at_hash(self, hash_: bytes | None) -> PastState:
        """Return the state after a block (None: the newest).

        Raises:
            UnknownBlockError: no block has that hash.
            StateDiscardedError: the state was pruned, or the block was retracted.
        """
        return self.state_at_number(self.best.number if hash_ is None else self.number(hash_))

    def state_at_number(self, number: int) -> PastState:
        """Return the state after the block of that number.

        Raises:
            StateDiscardedError: the state was pruned.
        """
        if number < self.history.oldest:
            raise StateDiscardedError
        return self._storage.at(number)

    def number(self, hash_: bytes) -> int:
        """Return the number of a block.

        Raises:
            UnknownBlockError: no block has that hash.
            StateDiscardedError: the block was retracted.
        """
        if hash_ == self.best.hash:
            return self.best.number
        number = self._store.number(hash_)
        if number is not None:
            return number
        if self._store.is_retracted(hash_):
            raise StateDiscardedError
        raise UnknownBlockError

    def hash(self, number: int) -> bytes | None:
        """Return the hash of the block of that number, or None if it is above the newest."""
        if number == self.best.number:
            return self.best.hash
        return self._store.hash(number)

    def block(self, hash_: bytes | None) -> DevnetBlock | None:
        """Return a block by its hash (None: the newest), or None if it is unknown."""
        if hash_ is None or hash_ == self.best.hash:
            return self.best
        number = self._store.number(hash_)
        return None if number is None else self._store.block(number)

    def finalized_hash(self) -> bytes:
        """Return the hash of the newest finalized block."""
        return self.hash(self.finalized_number) or self.genesis_hash

    def make_block(self, apply: ApplyExtrinsics | None = None) -> DevnetBlock:
        """Make the next block.

        Args:
            apply: applies extrinsics to the draft from an index on; returns the included extrinsics
                and their events.
        """
        number = self.best.number + 1
        draft = self._storage.draft(number)
        now_ms = self._now_ms(number)
        slot = now_ms // self._slot_ms
        self._initialize_block(draft, now_ms, slot)
        for change in self._scheduled_changes:
            change(draft)
        self._scheduled_changes.clear()
        pallet_events = run_due_epochs(draft, self.reveals.reveal_due)
        pallet_events += self.timelocked_commitments.reveal_due(draft)
        if self._options.active:
            simulate_activity(draft, self._options.seed)
        inherent = self._timestamp_extrinsic(now_ms)
        event_records = [system_events.event_record(None, *event) for event in pallet_events]
        event_records.append(
            system_events.event_record(0, "System", "ExtrinsicSuccess", _INHERENT_INFO)
        )
        extrinsics = [inherent]
        if apply is not None:
            included, extrinsic_records = apply(draft, 1)
            extrinsics += included
            event_records += extrinsic_records
        draft.put("System", "Events", event_records)
        draft.put("System", "EventCount", len(event_records))
        block = seal_block(self.best.header, draft.changes, tuple(extrinsics), slot, self._salt())
        self._commit_block(block, draft.changes)
        return block

    def schedule_change(self, change: Callable[[Draft], None]) -> None:
        """Apply a change of the state at the start of the next block, without an extrinsic."""
        self._scheduled_changes.append(change)

    def prune(self, keep_blocks: int) -> None:
        """Discard the state of all blocks except the newest `keep_blocks`."""
        dropped = self.history.prune(self.best.number - keep_blocks + 1)
        self._store.prune(dropped, self.history.oldest)

    def rewind(self, depth: int) -> list[DevnetBlock]:
        """Retract the newest `depth` blocks; the next blocks have other hashes.

        Returns:
            The retracted blocks, oldest first.

        Raises:
            StateDiscardedError: the state of that block was pruned.
            ValueError: the chain has fewer blocks.
        """
        target = self.best.number - depth
        if depth < 1 or target < 0:
            raise ValueError(f"cannot retract {depth} blocks at block {self.best.number}")
        retracted = [
            block
            for number in range(target + 1, self.best.number + 1)
            if (block := self._store.block(number)) is not None
        ]
        self.history.rewind(target)
        self._store.rewind(target)
        self._forks += 1
        self._store.set_property("forks", str(self._forks).encode())
        best = self._store.block(target)
        if best is None:
            raise UnknownBlockError
        self.best = best
        self.finalized_number = min(self.finalized_number, best.number)
        return retracted

    def _genesis(self) -> tuple[DevnetBlock, dict[bytes, bytes | None]]:
        draft = self._storage.draft(0)
        populate(draft, self._options)
        # Clients cache metadata by genesis hash: other metadata needs another hash.
        salt = blake2b_256(self.codec.metadata)
        return seal_block(None, draft.changes, (), None, salt), draft.changes

    def _resume(self, best: DevnetBlock) -> None:
        if self._store.hash(0) != self.genesis_hash:
            raise ValueError(
                "the state folder contains another chain (seed, tempo, neurons, runtime or version "
                "differ): start with its options, in another folder, or with --fresh"
            )
        pruned = int(self._store.get_property("oldest") or 0)
        oldest = max(pruned, best.number - self._options.keep_blocks + 1, 0)
        self.history.restore(self._store.versions(), oldest=oldest, newest=best.number)

    def _stored_slot_ms(self, configured_ms: int) -> int:
        """Return the slot duration with which the chain was created; it is part of its metadata."""
        stored = self._store.get_property("slot_ms")
        if stored is None:
            self._store.set_property("slot_ms", str(configured_ms).encode())
            return configured_ms
        return int(stored)

    def _salt(self) -> bytes:
        return self._forks.to_bytes(8, "little") if self._forks else b""

    def _now_ms(self, number: int) -> int:
        if self._options.genesis_time_ms is not None:
            return self._options.genesis_time_ms + number * self._slot_ms
        before = int(self.state_at_number(self.best.number).get("Timestamp", "Now"))
        ago_ms = max(0, self._options.past_blocks - number) * self._slot_ms
        return max(before + 1, time.time_ns() // 1_000_000 - ago_ms)

    def _initialize_block(self, draft: Draft, now_ms: int, slot: int) -> None:
        number = draft.number
        draft.put("System", "Number", number)
        draft.put("System", "ParentHash", self.best.hash)
        draft.put("System", "BlockHash", number - 1, self.best.hash)
        if number > _BLOCK_HASH_COUNT:
            draft.delete("System", "BlockHash", number - 1 - _BLOCK_HASH_COUNT)
        draft.put("Timestamp", "Now", now_ms)
        draft.put("Aura", "CurrentSlot", slot)
        seconds = now_ms // 1000 - _DRAND_GENESIS_S
        draft.put("Drand", "LastStoredRound", max(0, seconds // _DRAND_PERIOD_S + 1))

    def _timestamp_extrinsic(self, now_ms: int) -> bytes:
        call = self.codec.compose_call("Timestamp", "set", {"now": now_ms})
        return encode_bytes(bytes([EXTRINSIC_VERSION]) + call)

    def _commit_block(self, block: DevnetBlock, changes: dict[bytes, bytes | None]) -> None:
        self.history.write(block.number, changes)
        dropped = self.history.prune(block.number - self._options.keep_blocks + 1)
        self._store.add(block, changes, dropped)
        self.best = block


_INHERENT_INFO = {"dispatch_info": system_events.dispatch_info("Mandatory", pays=False)}
