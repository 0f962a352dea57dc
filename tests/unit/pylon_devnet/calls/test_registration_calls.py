"""Registration on subnets with and without a free uid."""

from typing import Any

import pytest

from pylon_devnet.calls.balance_calls import free_balance
from pylon_devnet.calls.dispatch import DispatchError
from pylon_devnet.calls.registration_calls import add_neuron, replace_neuron
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import sr25519_address
from pylon_devnet.population import coldkey, hotkey
from pylon_devnet.subnet_state import alpha_stake, hotkeys, neuron_count, uid_of, value
from tests.support.chain.devnet_draft import (
    SUBTENSOR,
    Event,
    decoded_call,
    execute_call,
    new_draft,
)

NEW, PAYER = sr25519_address(b"n" * 32), coldkey(1, 0)


def full_subnet(block: int = 5000, immunity: int = 0) -> Draft:
    """Return a state in which subnet 1 has no free uid, and uid 9 has the lowest emission."""
    draft = new_draft(block)
    draft.put(SUBTENSOR, "MaxAllowedUids", 1, 16)
    draft.put(SUBTENSOR, "ImmunityPeriod", 1, immunity)
    draft.put(SUBTENSOR, "Emission", 1, [5 if uid == 9 else 10 for uid in range(16)])
    return draft


def register(draft: Draft, netuid: int = 1, key: str = NEW, **limit: int) -> list[Event]:
    function = "register_limit" if limit else "burned_register"
    arguments: dict[str, Any] = {"netuid": netuid, "hotkey": key, **limit}
    return execute_call(draft, PAYER, decoded_call(SUBTENSOR, function, **arguments))


def test_a_free_uid_is_used_first() -> None:
    draft = new_draft(3)
    assert add_neuron(draft, 1, NEW, PAYER) == 16
    assert hotkeys(draft, 1) == [*(hotkey(1, uid) for uid in range(16)), NEW]
    assert value(draft, "Emission", 1)[:16] == value(new_draft(), "Emission", 1)
    for item, cell in {"Emission": 0, "LastUpdate": 3, "Active": True}.items():
        assert value(draft, item, 1)[16] == cell
    assert value(draft, "BlockAtRegistration", 1, 16) == 3
    assert NEW in value(draft, "OwnedHotkeys", PAYER)


def test_a_full_subnet_replaces_the_lowest_emission() -> None:
    draft = full_subnet()
    draft.put(SUBTENSOR, "Weights", 1, 9, [(1, 1)])
    assert add_neuron(draft, 1, NEW, PAYER) == 9
    assert neuron_count(draft, 1) == 16
    assert uid_of(draft, 1, hotkey(1, 9)) is None
    assert uid_of(draft, 1, NEW) == 9
    assert not value(draft, "IsNetworkMember", hotkey(1, 9), 1)
    assert value(draft, "Weights", 1, 9) == []
    assert value(draft, "Emission", 1)[9] == 0


def test_of_equal_emissions_the_newest_uid_is_replaced() -> None:
    draft = full_subnet()
    draft.put(SUBTENSOR, "Emission", 1, [10] * 16)
    assert add_neuron(draft, 1, NEW, PAYER) == 15


def test_immune_neurons_and_the_owner_stay() -> None:
    draft = full_subnet(immunity=100)
    draft.put(SUBTENSOR, "BlockAtRegistration", 1, 9, 4901)
    draft.put(SUBTENSOR, "Emission", 1, list(range(16)))
    draft.put(SUBTENSOR, "SubnetOwnerHotkey", 1, hotkey(1, 0))
    assert add_neuron(draft, 1, NEW, PAYER) == 1
    draft = full_subnet(immunity=100)
    draft.put(SUBTENSOR, "BlockAtRegistration", 1, 9, 4900)
    assert add_neuron(draft, 1, NEW, PAYER) == 9
    draft = full_subnet(immunity=100)
    for uid in range(16):
        draft.put(SUBTENSOR, "BlockAtRegistration", 1, uid, 4950)
    assert add_neuron(draft, 1, NEW, PAYER) is None


def test_a_deregistered_hotkey_is_replaced_at_its_uid() -> None:
    draft = new_draft(3)
    replace_neuron(draft, 1, hotkey(1, 4))
    assert uid_of(draft, 1, hotkey(1, 4)) is None
    newcomer = hotkeys(draft, 1)[4]
    assert newcomer not in {hotkey(1, uid) for uid in range(16)}
    assert value(draft, "Owner", newcomer) == value(draft, "SubnetOwner", 1)
    assert alpha_stake(draft, 1, newcomer) == 0
    assert neuron_count(draft, 1) == 16


def test_a_registration_burns_its_price() -> None:
    draft = new_draft()
    before, burn = free_balance(draft, PAYER), value(draft, "Burn", 1)
    events = register(draft)
    assert free_balance(draft, PAYER) == before - burn
    assert events[-1] == (SUBTENSOR, "NeuronRegistered", (1, 16, NEW))
    assert uid_of(draft, 1, NEW) == 16


def test_a_price_above_the_limit_is_not_paid() -> None:
    burn = value(new_draft(), "Burn", 1)
    register(new_draft(), limit_price=burn)
    with pytest.raises(DispatchError, match="RegistrationPriceLimitExceeded"):
        register(new_draft(), limit_price=burn - 1)


@pytest.mark.parametrize(
    ("arguments", "changes", "error"),
    [
        ({"netuid": 0}, {}, "RegistrationNotPermittedOnRootSubnet"),
        ({"netuid": 9}, {}, "SubnetNotExists"),
        ({"key": hotkey(1, 5)}, {}, "HotKeyAlreadyRegisteredInSubNet"),
        ({"netuid": 2, "key": hotkey(1, 5)}, {}, "NonAssociatedColdKey"),
        ({}, {"NetworkRegistrationAllowed": False}, "SubNetRegistrationDisabled"),
        ({}, {"MaxRegistrationsPerBlock": 0}, "TooManyRegistrationsThisBlock"),
        ({}, {"Burn": 10**18}, "NotEnoughBalanceToStake"),
    ],
)
def test_registrations_are_refused_in_the_order_of_the_chain(
    arguments: dict[str, Any], changes: dict[str, Any], error: str
) -> None:
    draft = new_draft()
    for item, setting in changes.items():
        draft.put(SUBTENSOR, item, 1, setting)
    with pytest.raises(DispatchError, match=rf"^SubtensorModule\.{error}$"):
        register(draft, **arguments)


def test_a_full_subnet_of_immune_neurons_has_no_place() -> None:
    draft = new_draft(5)
    draft.put(SUBTENSOR, "MaxAllowedUids", 1, 16)
    for uid in range(16):
        draft.put(SUBTENSOR, "BlockAtRegistration", 1, uid, 4)
    with pytest.raises(DispatchError, match="NoNeuronIdAvailable"):
        register(draft)


def test_registrations_per_block_are_limited() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "MaxRegistrationsPerBlock", 1, 1)
    register(draft)
    with pytest.raises(DispatchError, match="TooManyRegistrationsThisBlock"):
        register(draft, key=sr25519_address(b"m" * 32))
