"""Reveals of timelocked weights.

The chain decrypts commits with the beacon's signature for their round. The devnet has no beacon:
tests set the plaintext instead, which is applied when the commit is due. As on the chain, a commit
of epoch e is due during epoch e + `RevealPeriodEpochs`, and is dropped at its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pylon_devnet.calls.dispatch import DispatchError
from pylon_devnet.calls.weight_calls import set_weights_row
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import ss58
from pylon_devnet.runtime.scale_encoding import decode_compact, encode_vector
from pylon_devnet.subnet_state import SUBTENSOR, U16_MAX, epoch_index, storage_index, value

_KEY_BYTES, _BLOCK_BYTES, _ROUND_BYTES = 32, 8, 8
MAX_PLAINTEXTS = 10_000

WeightsRow = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(slots=True)
class WeightReveals:
    """Known plaintexts by storage index and hotkey."""

    _plaintexts: dict[tuple[int, str], WeightsRow] = field(
        default_factory=dict[tuple[int, str], WeightsRow]
    )

    def set_plaintext(
        self, index: int, hotkey: str, uids: Sequence[int], weights: Sequence[int]
    ) -> None:
        """Set the plaintext of a hotkey's pending commit.

        Raises:
            ValueError: too many plaintexts are stored, or a number is not from 0 to 65535.
        """
        if not all(type(one) is int and 0 <= one <= U16_MAX for one in (*uids, *weights)):
            raise ValueError("uids and weights are numbers from 0 to 65535")
        if len(self._plaintexts) >= MAX_PLAINTEXTS:
            raise ValueError("too many plaintexts are stored")
        self._plaintexts[index, hotkey] = (tuple(uids), tuple(weights))

    def reveal_due(self, draft: Draft, netuid: int) -> list[tuple[str, str, object]]:
        """Apply due commits of a subnet with known plaintexts, and drop expired ones.

        Returns:
            The events, as (pallet, event, payload).
        """
        events: list[tuple[str, str, object]] = []
        for mechanism in range(value(draft, "MechanismCountCurrent", netuid)):
            index = storage_index(netuid, mechanism)
            commits = draft.entries(SUBTENSOR, "TimelockedWeightCommits", index)
            epochs = [epoch for (_, epoch), _ in commits]
            if not epochs:
                continue
            due = epoch_index(draft, netuid) - value(draft, "RevealPeriodEpochs", netuid)
            for epoch in epochs:
                if epoch < due:
                    draft.delete(SUBTENSOR, "TimelockedWeightCommits", index, epoch)
            events.extend(
                (SUBTENSOR, "TimelockedWeightsRevealed", (index, hotkey))
                for hotkey in (self._pop_known_commits(draft, index, due) if due in epochs else ())
                if self._apply(draft, netuid, mechanism, hotkey)
            )
        return events

    def _pop_known_commits(self, draft: Draft, index: int, epoch: int) -> list[str]:
        """Remove the commits with a known plaintext from an epoch; return their hotkeys."""
        where = (SUBTENSOR, "TimelockedWeightCommits", index, epoch)
        opened: list[str] = []
        remaining: list[bytes] = []
        for hotkey, commit in _read_commits(draft.get_raw(*where) or b"\x00"):
            if (index, hotkey) in self._plaintexts and hotkey not in opened:
                opened.append(hotkey)
            else:
                remaining.append(commit)
        if opened and remaining:
            draft.put_raw(SUBTENSOR, where[1], where[2:], encode_vector(remaining))
        elif opened:
            draft.delete(*where)
        return opened

    def _apply(self, draft: Draft, netuid: int, mechanism: int, hotkey: str) -> bool:
        row = self._plaintexts.pop((storage_index(netuid, mechanism), hotkey), None)
        if row is None:
            return False
        try:
            set_weights_row(draft, netuid, mechanism, hotkey, *row)
        except DispatchError:
            return False
        return True


def _read_commits(raw: bytes) -> list[tuple[str, bytes]]:
    """Return the hotkey and the bytes of each commit of an epoch."""
    count, offset = decode_compact(raw, 0)
    commits: list[tuple[str, bytes]] = []
    for _ in range(count):
        size, begin = decode_compact(raw, offset + _KEY_BYTES + _BLOCK_BYTES)
        end = begin + size + _ROUND_BYTES
        commits.append((ss58(raw[offset : offset + _KEY_BYTES]), raw[offset:end]))
        offset = end
    return commits
