"""Calls of root and of a subnet's owner that set hyperparameters."""

from typing import Any

import pytest

from pylon_devnet.calls.admin_calls import HANDLERS, HYPERPARAMETERS
from pylon_devnet.calls.dispatch import DispatchError
from pylon_devnet.chain_state import Draft
from pylon_devnet.population import coldkey
from pylon_devnet.subnet_state import value
from tests.support.chain.devnet_draft import (
    SUBTENSOR,
    decoded_call,
    execute_call,
    genesis_chain,
    new_draft,
)

ROOT, STRANGER = None, coldkey(1, 4)


def set_item(draft: Draft, signer: str | None, function: str, **arguments: Any) -> None:
    execute_call(draft, signer, decoded_call("AdminUtils", function, **arguments))


def test_root_and_the_owner_set_a_subnets_items() -> None:
    draft = new_draft()
    owner = value(draft, "SubnetOwner", 1)
    set_item(draft, ROOT, "sudo_set_kappa", netuid=1, kappa=5)
    assert value(draft, "Kappa", 1) == 5
    set_item(draft, owner, "sudo_set_kappa", netuid=1, kappa=6)
    assert value(draft, "Kappa", 1) == 6
    assert value(draft, "Kappa", 2) == value(new_draft(), "Kappa", 2)


def test_a_subnets_items_are_refused_to_others_and_without_the_subnet() -> None:
    draft = new_draft()
    with pytest.raises(DispatchError, match=r"^BadOrigin$"):
        set_item(draft, STRANGER, "sudo_set_kappa", netuid=1, kappa=5)
    with pytest.raises(DispatchError, match=r"^AdminUtils\.SubnetDoesNotExist$"):
        set_item(draft, ROOT, "sudo_set_kappa", netuid=9, kappa=5)
    assert draft.changes == {}


def test_a_new_tempo_counts_from_this_block() -> None:
    draft = new_draft(50)
    set_item(draft, ROOT, "sudo_set_tempo", netuid=1, tempo=10)
    assert (value(draft, "Tempo", 1), value(draft, "LastEpochBlock", 1)) == (10, 50)
    set_item(draft, ROOT, "sudo_set_kappa", netuid=2, kappa=5)
    assert value(draft, "LastEpochBlock", 2) == 0


def test_only_root_sets_the_chains_items() -> None:
    draft = new_draft()
    set_item(draft, ROOT, "sudo_set_stake_threshold", min_stake=5)
    assert value(draft, "StakeThreshold") == 5
    with pytest.raises(DispatchError, match=r"^BadOrigin$"):
        set_item(draft, value(draft, "SubnetOwner", 1), "sudo_set_stake_threshold", min_stake=6)
    assert value(draft, "StakeThreshold") == 5


def test_only_root_sets_the_space_of_commitments() -> None:
    draft = new_draft()
    call = decoded_call("Commitments", "set_max_space", new_limit=7)
    execute_call(draft, ROOT, call)
    assert draft.get("Commitments", "MaxSpace") == 7
    with pytest.raises(DispatchError, match=r"^BadOrigin$"):
        execute_call(draft, STRANGER, call)


def test_every_item_and_call_exists_in_the_runtime() -> None:
    declaration = genesis_chain().declaration
    items = {item.name for item in declaration.pallet(SUBTENSOR).storage}
    assert items >= HYPERPARAMETERS
    for name in HANDLERS:
        pallet, _, function = name.partition(".")
        assert function in {call.name for call in declaration.pallet(pallet).calls}
