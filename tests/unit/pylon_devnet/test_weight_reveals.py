"""Reveals of committed weights when they are due."""

from typing import Any

import pytest

from pylon_devnet import weight_reveals
from pylon_devnet.chain_state import Draft
from pylon_devnet.population import hotkey
from pylon_devnet.subnet_state import MECHANISM_STRIDE
from pylon_devnet.weight_reveals import WeightReveals
from tests.support.chain.devnet_draft import SUBTENSOR, decoded_call, execute_call, new_draft

NETUID = 12
ONE, OTHER = hotkey(NETUID, 0), hotkey(NETUID, 1)


def committed(*who: str, mechanism: int = 0, committed_in: int = 3, now: int = 4) -> Draft:
    """Return a state of epoch `now` with commits of epoch `committed_in`."""
    draft = new_draft()
    for item, setting in {
        "MechanismCountCurrent": 2,
        "RevealPeriodEpochs": 1,
        "SubnetEpochIndex": committed_in,
        "ValidatorPermit": [True] * 16,
    }.items():
        draft.put(SUBTENSOR, item, NETUID, setting)
    for one in who:
        sealed = {"commit": b"\xffsealed", "reveal_round": 1 << 40, "commit_reveal_version": 4}
        call = decoded_call(
            SUBTENSOR, "commit_timelocked_mechanism_weights",
            netuid=NETUID, mecid=mechanism, **sealed,
        )  # fmt: skip
        execute_call(draft, one, call)
    draft.put(SUBTENSOR, "SubnetEpochIndex", NETUID, now)
    return draft


def commits(draft: Draft, epoch: int = 3, index: int = NETUID) -> list[str]:
    return [one[0] for one in draft.get(SUBTENSOR, "TimelockedWeightCommits", index, epoch)]


def known(*who: str, uids: Any = (5, 6), index: int = NETUID) -> WeightReveals:
    reveals = WeightReveals()
    for one in who:
        reveals.set_plaintext(index, one, uids, (1, 2))
    return reveals


def test_a_due_commit_with_a_plaintext_sets_its_weights() -> None:
    draft = committed(ONE, OTHER)
    before = draft.get_raw(SUBTENSOR, "TimelockedWeightCommits", NETUID, 3)
    events = known(ONE).reveal_due(draft, NETUID)
    assert events == [(SUBTENSOR, "TimelockedWeightsRevealed", (NETUID, ONE))]
    assert draft.get(SUBTENSOR, "Weights", NETUID, 0) == [(5, 32768), (6, 65535)]
    assert commits(draft) == [OTHER]
    remaining = draft.get_raw(SUBTENSOR, "TimelockedWeightCommits", NETUID, 3)
    assert before is not None
    assert remaining is not None
    assert before.endswith(remaining[1:]), "it is stored as it was signed"


def test_the_last_commit_of_an_epoch_removes_its_entry() -> None:
    draft = committed(ONE)
    known(ONE).reveal_due(draft, NETUID)
    assert draft.get_raw(SUBTENSOR, "TimelockedWeightCommits", NETUID, 3) is None


@pytest.mark.parametrize(("now", "is_kept"), [(3, True), (4, True), (5, False)])
def test_a_commit_waits_for_its_epoch_and_then_expires(now: int, is_kept: bool) -> None:  # noqa: FBT001 -- a parameter
    draft = committed(ONE, now=now)
    assert WeightReveals().reveal_due(draft, NETUID) == []
    assert commits(draft) == ([ONE] if is_kept else [])


def test_a_commit_that_is_not_due_is_not_revealed() -> None:
    draft, reveals = committed(ONE, now=3), known(ONE)
    assert reveals.reveal_due(draft, NETUID) == []
    draft.put(SUBTENSOR, "SubnetEpochIndex", NETUID, 4)
    assert len(reveals.reveal_due(draft, NETUID)) == 1
    assert reveals.reveal_due(committed(ONE), NETUID) == [], "a plaintext is used once"


def test_each_mechanism_has_its_own_commits() -> None:
    index = NETUID + MECHANISM_STRIDE
    draft = committed(ONE, mechanism=1)
    assert known(ONE).reveal_due(draft, NETUID) == []
    events = known(ONE, index=index).reveal_due(draft, NETUID)
    assert events == [(SUBTENSOR, "TimelockedWeightsRevealed", (index, ONE))]
    assert draft.get(SUBTENSOR, "Weights", index, 0) == [(5, 32768), (6, 65535)]


def test_one_of_several_commits_of_a_hotkey_is_revealed() -> None:
    draft = committed(ONE)
    draft.put(SUBTENSOR, "WeightsSetRateLimit", NETUID, 0)
    draft.put(SUBTENSOR, "SubnetEpochIndex", NETUID, 3)
    sealed = {"commit": b"2nd", "reveal_round": 1 << 40, "commit_reveal_version": 4}
    execute_call(
        draft, ONE, decoded_call(SUBTENSOR, "commit_timelocked_weights", netuid=NETUID, **sealed)
    )
    draft.put(SUBTENSOR, "SubnetEpochIndex", NETUID, 4)
    assert len(known(ONE).reveal_due(draft, NETUID)) == 1
    assert commits(draft) == [ONE]


def test_weights_that_the_chain_refuses_are_dropped() -> None:
    draft = committed(ONE)
    before = draft.get(SUBTENSOR, "Weights", NETUID, 0)
    assert known(ONE, uids=(5, 16)).reveal_due(draft, NETUID) == []
    assert draft.get(SUBTENSOR, "Weights", NETUID, 0) == before
    assert commits(draft) == []


def test_plaintexts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_reveals, "MAX_PLAINTEXTS", 1)
    with pytest.raises(ValueError, match="too many"):
        known(ONE, OTHER)


@pytest.mark.parametrize(
    ("uids", "weights"),
    [((-1, 5), (1, 2)), ((5, 6), (-1, 2)), ((5, 6), (1, 65536)), ((5,), (1.5,))],
)
def test_a_plaintext_that_no_chain_can_store_is_rejected(uids: Any, weights: Any) -> None:
    with pytest.raises(ValueError, match="0 to 65535"):
        WeightReveals().set_plaintext(NETUID, ONE, uids, weights)
