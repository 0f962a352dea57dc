"""Revealing weights that were committed under a time lock.

The chain decrypts commits with the beacon's signature for their round. The devnet has no beacon:
whoever tests tells it the plaintext, and it takes effect when the commit is due. A commit whose
plaintext nobody told is dropped when it is due, as the chain drops what it cannot decrypt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pylon.devnet.calls.dispatch import DispatchError
from pylon.devnet.calls.weights import check_row, store_weights
from pylon.devnet.state import Draft
from pylon.devnet.subnet import SUBTENSOR, storage_index, uid_of, value

PLAINTEXTS_LIMIT = 10_000

Row = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(slots=True)
class Reveals:
    """The plaintexts that are known, by storage index and hotkey."""

    _plaintexts: dict[tuple[int, str], Row] = field(default_factory=dict[tuple[int, str], Row])

    def tell(self, index: int, hotkey: str, miners: Sequence[int], weights: Sequence[int]) -> None:
        """Makes the plaintext of a hotkey's pending commit known.

        Raises:
            ValueError: too many are known already.
        """
        if len(self._plaintexts) >= PLAINTEXTS_LIMIT:
            raise ValueError("too many plaintexts wait for their commits")
        self._plaintexts[index, hotkey] = (tuple(miners), tuple(weights))

    def reveal_due(self, draft: Draft, netuid: int) -> list[tuple[str, str, object]]:
        """Applies and drops the commits that are due at the end of this epoch of a subnet.

        A commit made in epoch e is due at the end of epoch e + `RevealPeriodEpochs`.

        Returns:
            What happened, as (pallet, event, payload).
        """
        told: list[tuple[str, str, object]] = []
        due = value(draft, "SubnetEpochIndex", netuid) - value(draft, "RevealPeriodEpochs", netuid)
        for mechanism in range(value(draft, "MechanismCountCurrent", netuid)):
            index = storage_index(netuid, mechanism)
            commits = draft.entries(SUBTENSOR, "TimelockedWeightCommits", index)
            for (_, epoch), pending in commits:
                if epoch > due:
                    continue
                draft.delete(SUBTENSOR, "TimelockedWeightCommits", index, epoch)
                for hotkey, *_ in pending if epoch == due else ():
                    if self._apply(draft, netuid, index, hotkey):
                        told.append((SUBTENSOR, "TimelockedWeightsRevealed", (index, hotkey)))
        return told

    def _apply(self, draft: Draft, netuid: int, index: int, hotkey: str) -> bool:
        row = self._plaintexts.pop((index, hotkey), None)
        uid = uid_of(draft, netuid, hotkey)
        if row is None or uid is None:
            return False
        try:
            check_row(draft, netuid, uid, *row)
        except DispatchError:
            return False
        store_weights(draft, index, uid, *row)
        return True
