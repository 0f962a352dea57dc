"""Accessors of a subnet's state."""

import pytest

from pylon_devnet.chain_state import Draft
from pylon_devnet.population import hotkey, set_stake
from pylon_devnet.subnet_state import (
    MAX_TEMPO,
    MECHANISM_STRIDE,
    U64_MAX,
    epoch_index,
    hotkeys,
    is_epoch_due,
    netuids,
    next_epoch_block,
    stake_weight,
    storage_index,
    subnet_exists,
    uid_of,
    uid_vector,
)
from tests.support.chain.devnet_draft import SUBTENSOR, new_draft


def schedule(block: int = 100, **items: int) -> Draft:
    """Return a state whose last epoch was at block 50, with a tempo of 60 unless changed."""
    draft = new_draft(block)
    known = {"Tempo": 60, "LastEpochBlock": 50, "PendingEpochAt": 0, "BlocksSinceLastStep": 0}
    for item, setting in (known | items).items():
        draft.put(SUBTENSOR, item, 1, setting)
    return draft


@pytest.mark.parametrize(
    ("items", "is_due"),
    [
        ({"LastEpochBlock": 41}, False),
        ({"LastEpochBlock": 40}, True),
        ({"LastEpochBlock": 0, "Tempo": 0}, False),
        ({"PendingEpochAt": 101}, False),
        ({"PendingEpochAt": 100}, True),
        ({"PendingEpochAt": 100, "Tempo": 0}, False),
        ({"BlocksSinceLastStep": MAX_TEMPO}, False),
        ({"BlocksSinceLastStep": MAX_TEMPO + 1}, True),
    ],
)
def test_an_epoch_is_due_by_its_tempo_or_its_owner(items: dict[str, int], is_due: bool) -> None:  # noqa: FBT001 -- a parameter
    draft = schedule(**items)
    assert is_epoch_due(draft, 1, 100) is is_due
    draft.put(SUBTENSOR, "SubnetEpochIndex", 1, 7)
    assert epoch_index(draft, 1) == (8 if is_due else 7)


@pytest.mark.parametrize(
    ("items", "block"),
    [
        ({}, 110),
        ({"PendingEpochAt": 105}, 105),
        ({"PendingEpochAt": 200}, 110),
        ({"Tempo": 0}, None),
        ({"Tempo": 0, "PendingEpochAt": 105}, None),
    ],
)
def test_the_next_epoch_is_scheduled_or_triggered(items: dict[str, int], block: int | None) -> None:
    assert next_epoch_block(schedule(**items), 1) == block


def test_subnets_are_listed_in_order() -> None:
    draft = new_draft()
    assert netuids(draft) == [0, 1, 2, 12]
    draft.put(SUBTENSOR, "NetworksAdded", 2, False)
    draft.put(SUBTENSOR, "NetworksAdded", 5, True)
    assert netuids(draft) == [0, 1, 5, 12]
    assert (subnet_exists(draft, 2), subnet_exists(draft, 5)) == (False, True)


def test_hotkeys_have_uids() -> None:
    draft = new_draft()
    assert hotkeys(draft, 2) == [hotkey(2, uid) for uid in range(16)]
    assert uid_of(draft, 2, hotkey(2, 5)) == 5
    assert uid_of(draft, 2, hotkey(1, 5)) is None


def test_a_share_of_the_tao_on_root_counts_as_stake() -> None:
    draft, who = new_draft(), hotkey(1, 1)
    set_stake(draft, 1, who, 1000)
    set_stake(draft, 0, who, 500)
    draft.put(SUBTENSOR, "TaoWeight", U64_MAX // 7)
    assert stake_weight(draft, 1, who) == 1000 + 71
    draft.put(SUBTENSOR, "TaoWeight", 0)
    assert stake_weight(draft, 1, who) == 1000


def test_a_vector_is_a_copy_of_the_length_of_the_subnet() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "Emission", 1, [1, 2, 3])
    assert uid_vector(draft, "Emission", 1, 2) == [1, 2]
    padded = uid_vector(draft, "Emission", 1, 5, default=9)
    assert padded == [1, 2, 3, 9, 9]
    padded[0] = 100
    assert uid_vector(draft, "Emission", 1, 3) == [1, 2, 3]


def test_each_mechanism_has_an_index() -> None:
    assert storage_index(7, 0) == 7
    assert storage_index(7, 2) == 2 * MECHANISM_STRIDE + 7
