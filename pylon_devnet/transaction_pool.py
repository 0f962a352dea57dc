"""The transaction pool: what waits to be included, what waits for a nonce, and who is told."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pylon_devnet import pool_errors
from pylon_devnet.block import Block
from pylon_devnet.chain_state import Draft, State
from pylon_devnet.execution import AppliedExtrinsic, Executor
from pylon_devnet.extrinsics import MalformedExtrinsicError, SignedExtrinsic, parse
from pylon_devnet.rpc_error import RpcError

EXTRINSICS_LIMIT = 8192
EXTRINSICS_PER_BLOCK = 1000
APPLIED_KEPT = 10_000
_FINALITY_TIMEOUT_BLOCKS = 512

Tell = Callable[[Any], None]


@dataclass(slots=True)
class _Entry:
    """An extrinsic on its way, and who follows it."""

    extrinsic: SignedExtrinsic
    order: int
    death: int | None
    tells: list[Tell]
    ready: bool = False

    def tell(self, status: Any) -> None:
        for tell in self.tells:
            tell(status)


@dataclass(slots=True)
class _Included:
    """What a block included, until it is final."""

    block_hash: bytes
    entries: list[_Entry] = field(default_factory=list[_Entry])


class Pool:
    """Holds extrinsics by signer and nonce.

    Args:
        executor: checks and applies them.
        state: the newest state.
        block_hash: the hash of a block by its number.

    Attributes:
        applied: what blocks included.
        most_of_one_signer: the most extrinsics of one signer that ever waited at once.
    """

    def __init__(
        self,
        executor: Executor,
        state: Callable[[], State],
        block_hash: Callable[[int], bytes | None],
    ) -> None:
        self._executor = executor
        self._state = state
        self._block_hash = block_hash
        self._waiting: dict[str, dict[int, _Entry]] = {}
        self._orders = count()
        self._included: dict[int, _Included] = {}
        self._chosen: list[_Entry] = []
        self.applied: deque[AppliedExtrinsic] = deque(maxlen=APPLIED_KEPT)
        self.most_of_one_signer = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def submit(self, raw: bytes, tell: Tell | None = None) -> bytes:
        """Takes an extrinsic in; returns its hash.

        Args:
            raw: the whole extrinsic.
            tell: is told every status that it comes to.

        Raises:
            RpcError: it is refused.
        """
        try:
            extrinsic = parse(raw)
        except MalformedExtrinsicError as error:
            raise pool_errors.malformed(str(error)) from None
        state = self._state()
        number = state.number + 1
        mine = self._waiting.get(extrinsic.signer, {})
        rival = mine.get(extrinsic.nonce)
        if rival is not None and rival.extrinsic.hash == extrinsic.hash:
            raise pool_errors.already_imported(extrinsic.hash)
        self._executor.check(extrinsic, state, number, self._block_hash)
        if rival is not None and extrinsic.tip <= rival.extrinsic.tip:
            raise pool_errors.priority_too_low(extrinsic.tip, rival.extrinsic.tip)
        if rival is None and len(self) >= EXTRINSICS_LIMIT:
            raise pool_errors.pool_is_full()
        if rival is not None:
            rival.tell({"usurped": "0x" + extrinsic.hash.hex()})
        entry = self._entry(extrinsic, number, tell)
        mine = self._waiting.setdefault(extrinsic.signer, {})
        mine[extrinsic.nonce] = entry
        self.most_of_one_signer = max(self.most_of_one_signer, len(mine))
        self._promote(state, extrinsic.signer)
        if not entry.ready:
            entry.tell("future")
        return extrinsic.hash

    def next_nonce(self, signer: str) -> int:
        """The nonce that the signer's next extrinsic should have, those waiting counted."""
        nonce = _nonce(self._state(), signer)
        mine = self._waiting.get(signer, {})
        while nonce in mine:
            nonce += 1
        return nonce

    def fee(self, raw: bytes) -> int:
        """What an extrinsic would cost, in rao, whether or not its signature is good.

        Raises:
            ValueError: it is no extrinsic of this chain.
        """
        return self._executor.fee(parse(raw).call, len(raw))

    def pending(self) -> list[bytes]:
        """The extrinsics that are ready, in the order they came."""
        return [entry.extrinsic.raw for entry in self._ready()]

    def apply(self, draft: Draft, first_index: int) -> tuple[list[bytes], list[dict[str, Any]]]:
        """Includes what is ready in the block being built; see `Chain.make_block`."""
        told: list[dict[str, Any]] = []
        self._chosen = []
        for entry in list(self._ready())[:EXTRINSICS_PER_BLOCK]:
            extrinsic = entry.extrinsic
            if extrinsic.nonce != _nonce(draft, extrinsic.signer):
                continue
            try:
                self._executor.check_inclusion(extrinsic, draft, draft.number, self._block_hash)
            except RpcError:
                self._drop(entry, "invalid")
                continue
            index = first_index + len(self._chosen)
            more, applied = self._executor.apply(draft, index, extrinsic)
            told += more
            self.applied.append(applied)
            self._chosen.append(entry)
        return [entry.extrinsic.raw for entry in self._chosen], told

    def settle(self, block: Block) -> None:
        """Tells what the block that was just made means for everything here."""
        for entry in self._chosen:
            del self._waiting[entry.extrinsic.signer][entry.extrinsic.nonce]
            entry.tell({"inBlock": "0x" + block.hash.hex()})
        if self._chosen:
            self._included[block.number] = _Included(block.hash, self._chosen)
        self._chosen = []
        state = self._state()
        for entry in list(self._all()):
            is_dead = entry.death is not None and state.number + 1 >= entry.death
            if is_dead or entry.extrinsic.nonce < _nonce(state, entry.extrinsic.signer):
                self._drop(entry, "invalid")
        for signer in list(self._waiting):
            if self._waiting[signer]:
                self._promote(state, signer)
            else:
                del self._waiting[signer]
        for number in [n for n in self._included if n <= block.number - _FINALITY_TIMEOUT_BLOCKS]:
            late = self._included.pop(number)
            for entry in late.entries:
                entry.tell({"finalityTimeout": "0x" + late.block_hash.hex()})

    def finalize(self, number: int) -> None:
        """Tells those who follow extrinsics of a block that it is final."""
        included = self._included.pop(number, None)
        if included is not None:
            for entry in included.entries:
                entry.tell({"finalized": "0x" + included.block_hash.hex()})

    def retract(self, blocks: list[Block]) -> None:
        """Takes back what retracted blocks (oldest first) included: it waits again.

        Those who follow an extrinsic of a block that was not final are told; the others were told
        the end of it already.
        """
        state = self._state()
        for block in blocks:
            included = self._included.pop(block.number, None)
            followed = {one.extrinsic.raw: one for one in included.entries} if included else {}
            for raw in block.extrinsics[1:]:  # the first sets the time
                entry = followed.get(raw) or self._entry(parse(raw), state.number + 1, None)
                entry.tell({"retracted": "0x" + block.hash.hex()})
                entry.ready = False
                mine = self._waiting.setdefault(entry.extrinsic.signer, {})
                mine.setdefault(entry.extrinsic.nonce, entry)
        kept = [applied for applied in self.applied if applied.block_number <= state.number]
        self.applied = deque(kept, maxlen=APPLIED_KEPT)
        for signer in self._waiting:
            self._promote(state, signer)

    def drop_all(self) -> int:
        """Throws out everything that waits; returns how much that was."""
        entries = list(self._all())
        for entry in entries:
            self._drop(entry, "dropped")
        return len(entries)

    def _entry(self, extrinsic: SignedExtrinsic, number: int, tell: Tell | None) -> _Entry:
        tells = [] if tell is None else [tell]
        return _Entry(extrinsic, next(self._orders), extrinsic.era.death(number), tells)

    def _all(self) -> Iterator[_Entry]:
        for mine in self._waiting.values():
            yield from mine.values()

    def _ready(self) -> list[_Entry]:
        return sorted(
            (entry for entry in self._all() if entry.ready),
            key=lambda entry: (entry.extrinsic.nonce, entry.order),
        )

    def _promote(self, state: State, signer: str) -> None:
        nonce = _nonce(state, signer)
        mine = self._waiting.get(signer, {})
        while nonce in mine:
            if not mine[nonce].ready:
                mine[nonce].ready = True
                mine[nonce].tell("ready")
            nonce += 1

    def _drop(self, entry: _Entry, status: str) -> None:
        self._waiting[entry.extrinsic.signer].pop(entry.extrinsic.nonce, None)
        entry.tell(status)


def _nonce(state: State, signer: str) -> int:
    return int(state.get("System", "Account", signer)["nonce"])
