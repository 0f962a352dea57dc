"""State, metagraphs and pools of subnets."""

from typing import Any

import pytest

from pylon_devnet.apis.subnet_apis import API_METHODS, SELECTIVE_FIELDS
from pylon_devnet.chain_state import StateReader
from pylon_devnet.population import coldkey, hotkey
from pylon_devnet.subnet_state import MECHANISM_STRIDE
from tests.support.chain.devnet_draft import SUBTENSOR, genesis_chain, new_draft

UIDS = range(16)


def call(state: StateReader, method: str, *arguments: Any) -> Any:
    return API_METHODS[f"SubnetInfoRuntimeApi_{method}"](state, *arguments)


@pytest.mark.parametrize(
    "method", [name.partition("_")[2] for name in API_METHODS if "get_subnet" in name]
)
def test_the_results_have_the_types_of_the_runtime(method: str) -> None:
    codec, draft = genesis_chain().codec, new_draft()
    is_list = "subnets" in method
    result = call(draft, method) if is_list else call(draft, method, 1)
    assert codec.api_output("SubnetInfoRuntimeApi", method, result)
    assert is_list or call(draft, method, 9) is None


def test_the_state_of_a_subnet_has_a_column_per_property() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "Consensus", 1, [3])
    found = call(draft, "get_subnet_state", 1)
    assert found["hotkeys"] == [hotkey(1, uid) for uid in UIDS]
    assert found["coldkeys"] == [coldkey(1, uid) for uid in UIDS]
    assert found["consensus"] == [3, *[0] * 15]
    assert {len(column) for column in found.values() if isinstance(column, list)} == {0, 16}


def test_a_mechanism_has_its_own_incentive_and_last_update() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "MechanismCountCurrent", 1, 2)
    draft.put(SUBTENSOR, "Incentive", 1, [1] * 16)
    draft.put(SUBTENSOR, "Incentive", 1 + MECHANISM_STRIDE, [2] * 16)
    draft.put(SUBTENSOR, "LastUpdate", 1 + MECHANISM_STRIDE, [5] * 16)
    first, second = (call(draft, "get_mechagraph", 1, number) for number in range(2))
    assert (first["incentives"], second["incentives"]) == ([1] * 16, [2] * 16)
    assert second["last_update"] == [5] * 16 != first["last_update"]
    assert second["netuid"] == 1 + MECHANISM_STRIDE
    assert first["dividends"] == second["dividends"]
    assert call(draft, "get_mechagraph", 1, 2) is None
    graphs = call(draft, "get_all_mechagraphs")
    assert [one["netuid"] for one in graphs] == [0, 1, 1 + MECHANISM_STRIDE, 2, 12]


def test_a_selective_metagraph_has_the_chosen_fields_only() -> None:
    draft = new_draft()
    chosen = ["hotkeys", "tempo", "validators"]
    indexes = [SELECTIVE_FIELDS.index(name) for name in chosen]
    found = call(draft, "get_selective_metagraph", 1, [*indexes, 10_000])
    assert found["netuid"] == 1, "it is always there"
    assert {name for name, part in found.items() if part is not None} == {*chosen, "netuid"}
    permits = draft.get(SUBTENSOR, "ValidatorPermit", 1)
    assert found["validators"] == [uid for uid in UIDS if permits[uid]]
    assert call(draft, "get_selective_mechagraph", 1, 0, indexes) == call(
        draft, "get_selective_metagraph", 1, indexes
    )
    assert call(draft, "get_selective_metagraph", 9, indexes) is None


def test_every_field_can_be_selected() -> None:
    indexes = list(range(len(SELECTIVE_FIELDS)))
    found = call(new_draft(), "get_selective_metagraph", 1, indexes)
    assert found.keys() == set(SELECTIVE_FIELDS)
    method = "get_selective_metagraph"
    assert genesis_chain().codec.api_output("SubnetInfoRuntimeApi", method, found)


def test_dividends_are_listed_for_hotkeys_that_were_paid() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "Dividends", 1, [0, 9])
    draft.put(SUBTENSOR, "AlphaDividendsPerSubnet", 1, hotkey(1, 1), 500)
    found = call(draft, "get_metagraph", 1)
    assert found["alpha_dividends_per_hotkey"] == [(hotkey(1, 1), 500)]


def test_lists_contain_every_subnet() -> None:
    draft = new_draft()
    infos = call(draft, "get_all_dynamic_info")
    assert [one["netuid"] for one in infos] == [0, 1, 2, 12]
    assert call(draft, "get_dynamic_info", 2) == infos[2]
    assert bytes(infos[1]["subnet_name"]) == b"apex"
    assert call(draft, "get_dynamic_info", 9) is None
    assert len(call(draft, "get_all_metagraphs")) == 4


def test_a_coldkey_may_have_a_hotkey_for_automatic_stakes() -> None:
    draft = new_draft()
    assert call(draft, "get_coldkey_auto_stake_hotkey", coldkey(1, 0), 1) is None
    draft.put(SUBTENSOR, "AutoStakeDestination", coldkey(1, 0), 1, hotkey(1, 2))
    assert call(draft, "get_coldkey_auto_stake_hotkey", coldkey(1, 0), 1) == hotkey(1, 2)
