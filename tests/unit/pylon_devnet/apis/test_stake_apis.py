"""Stakes and delegates."""

from typing import Any

from pylon_devnet.apis.stake_apis import API_METHODS
from pylon_devnet.chain_state import StateReader
from pylon_devnet.population import coldkey, hotkey, set_stake
from pylon_devnet.subnet_state import alpha_stake
from tests.support.chain.devnet_draft import SUBTENSOR, genesis_chain, new_draft

OWNER, KEY = coldkey(1, 4), hotkey(1, 4)
"""The owner of the neurons 3, 4 and 5 of subnet 1, and the second of them."""
STRANGER = coldkey(2, 4)


def stakes(state: StateReader, method: str, *arguments: Any) -> Any:
    return API_METHODS[f"StakeInfoRuntimeApi_get_stake_{method}"](state, *arguments)


def delegates(state: StateReader, method: str, *arguments: Any) -> Any:
    return API_METHODS[f"DelegateInfoRuntimeApi_{method}"](state, *arguments)


def test_a_coldkey_has_the_stakes_of_its_hotkeys() -> None:
    draft = new_draft()
    set_stake(draft, 1, hotkey(1, 5), 0)
    draft.put(SUBTENSOR, "Emission", 1, list(range(16)))
    found = stakes(draft, "info_for_coldkey", OWNER)
    on_one = {one["hotkey"]: one for one in found if one["netuid"] == 1}
    assert set(on_one) == {hotkey(1, 3), KEY}, "a stake of 0 is left out"
    assert on_one[KEY]["stake"] == alpha_stake(draft, 1, KEY) > 0
    assert (on_one[KEY]["emission"], on_one[KEY]["is_registered"]) == (4, True)
    assert stakes(draft, "info_for_coldkeys", [OWNER]) == [(OWNER, found)]


def test_only_the_owner_stakes_to_a_hotkey() -> None:
    draft = new_draft()
    own = stakes(draft, "info_for_hotkey_coldkey_netuid", KEY, OWNER, 1)
    other = stakes(draft, "info_for_hotkey_coldkey_netuid", KEY, STRANGER, 1)
    elsewhere = stakes(draft, "info_for_hotkey_coldkey_netuid", KEY, OWNER, 2)
    assert own["stake"] > 0 == other["stake"]
    assert (own["is_registered"], elsewhere["is_registered"]) == (True, False)
    assert elsewhere["emission"] == 0


def test_available_stake_is_the_sum_per_chosen_subnet() -> None:
    draft = new_draft()
    for uid in (3, 4, 5):
        set_stake(draft, 1, hotkey(1, uid), 100 + uid)
    set_stake(draft, 2, KEY, 7)
    availability = API_METHODS["StakeInfoRuntimeApi_get_stake_availability_for_coldkeys"]
    rows = availability(draft, [OWNER], [1, 2])[OWNER]
    assert rows == {
        netuid: {"total": rao, "locked": 0, "available": rao} for netuid, rao in ((1, 312), (2, 7))
    }
    assert availability(draft, [OWNER], []) == {OWNER: {}}
    assert availability(draft, [OWNER], None)[OWNER].keys() >= {1, 2}


def test_a_delegate_is_described_by_its_registrations() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "ValidatorPermit", 1, [uid == 4 for uid in range(16)])
    found = delegates(draft, "get_delegate", KEY)
    assert (found["delegate_ss58"], found["owner_ss58"]) == (KEY, OWNER)
    assert 1 in found["registrations"]
    assert 2 not in found["registrations"]
    assert 1 in found["validator_permits"]
    ((nominator, staked),) = found["nominators"]
    assert nominator == OWNER
    assert dict(staked)[1] == alpha_stake(draft, 1, KEY)
    assert found in delegates(draft, "get_delegates")
    delegated = delegates(draft, "get_delegated", OWNER)
    assert (found, (1, alpha_stake(draft, 1, KEY))) in delegated


def test_an_unknown_hotkey_is_not_a_delegate() -> None:
    assert delegates(new_draft(), "get_delegate", STRANGER) is None


def test_permits_that_are_too_few_are_not_granted() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "ValidatorPermit", 1, [])
    assert 1 not in delegates(draft, "get_delegate", KEY)["validator_permits"]


def test_the_results_have_the_types_of_the_runtime() -> None:
    codec, draft = genesis_chain().codec, new_draft()
    for name, arguments in {
        "StakeInfoRuntimeApi_get_stake_info_for_coldkey": [OWNER],
        "StakeInfoRuntimeApi_get_stake_info_for_coldkeys": [[OWNER, STRANGER]],
        "StakeInfoRuntimeApi_get_stake_availability_for_coldkeys": [[OWNER], None],
        "DelegateInfoRuntimeApi_get_delegate": [KEY],
        "DelegateInfoRuntimeApi_get_delegates": [],
        "DelegateInfoRuntimeApi_get_delegated": [OWNER],
    }.items():
        api, _, method = name.partition("_")
        assert codec.api_output(api, method, API_METHODS[name](draft, *arguments))
