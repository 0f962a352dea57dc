"""Commitments: their bytes, their space limit, and the index of timelocked ones."""

from typing import Any

import pytest

from pylon_devnet.calls.dispatch import DispatchError
from pylon_devnet.chain_state import Draft
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_draft import Event, decoded_call, execute_call, new_draft

WHO = hotkey(1, 0)
SEALED = {"TimelockEncrypted": {"encrypted": b"\x00sealed\xff", "reveal_round": 77}}


def raw(size: int) -> dict[str, Any]:
    return {f"Raw{size}": bytes(range(size))}


def commit(draft: Draft, *fields: Any, netuid: int = 1) -> list[Event]:
    call = decoded_call("Commitments", "set_commitment", netuid=netuid, info={"fields": fields})
    return execute_call(draft, WHO, call)


def used(draft: Draft) -> int:
    return draft.get("Commitments", "UsedSpaceOf", 1, WHO)["used_space"]


def test_a_commitment_is_stored_byte_for_byte_with_its_block() -> None:
    draft = new_draft(7)
    assert commit(draft, raw(4)) == [("Commitments", "Commitment", {"netuid": 1, "who": WHO})]
    stored = draft.get_raw("Commitments", "CommitmentOf", 1, WHO)
    assert stored == bytes(8) + bytes([7, 0, 0, 0]) + b"\x04\x05\x00\x01\x02\x03"
    assert draft.get("Commitments", "LastCommitment", 1, WHO) == 7


def test_a_timelocked_commitment_is_indexed_until_it_is_replaced() -> None:
    draft = new_draft()
    assert commit(draft, raw(1), SEALED) == [
        ("Commitments", "TimelockCommitment", {"netuid": 1, "who": WHO, "reveal_round": 77})
    ]
    commit(draft, SEALED)
    assert draft.get("Commitments", "TimelockedIndex") == [(1, WHO)]
    commit(draft, raw(1))
    assert draft.get("Commitments", "TimelockedIndex") == []


def test_space_is_counted_per_epoch() -> None:
    draft = new_draft()
    draft.put("Commitments", "MaxSpace", 230)
    commit(draft, raw(1))
    assert used(draft) == 100, "the least that a commitment counts"
    commit(draft, raw(128), raw(2))
    assert used(draft) == 230
    with pytest.raises(DispatchError, match=r"Commitments\.SpaceLimitExceeded"):
        commit(draft, raw(1))
    draft.put("SubtensorModule", "SubnetEpochIndex", 1, 1)
    commit(draft, raw(1))
    assert used(draft) == 100


def test_a_reset_of_bonds_is_recorded() -> None:
    draft = new_draft(7)
    commit(draft, raw(1))
    assert not draft.get("Commitments", "LastBondsReset", 1, WHO)
    commit(draft, "ResetBondsFlag")
    assert draft.get("Commitments", "LastBondsReset", 1, WHO) == 7


def test_only_registered_hotkeys_commit_and_only_the_chain_records_failures() -> None:
    draft = new_draft()
    with pytest.raises(DispatchError, match=r"Commitments\.AccountNotAllowedCommit"):
        commit(draft, raw(1), netuid=2)
    failed = {"TimelockRevealFailed": {"encrypted": b"x", "reveal_round": 1}}
    with pytest.raises(DispatchError, match=r"Commitments\.TimelockRevealFailedNotAllowed"):
        commit(draft, failed)
    assert draft.changes == {}
