"""Prices and simulated swaps of a pool."""

from typing import Any

import pytest

from pylon_devnet.apis.pool_apis import API_METHODS, alpha_price
from pylon_devnet.chain_state import Draft
from tests.support.chain.devnet_draft import SUBTENSOR, new_draft


def pool(tao: int, alpha: int) -> Draft:
    draft = new_draft()
    draft.put(SUBTENSOR, "SubnetTAO", 1, tao)
    draft.put(SUBTENSOR, "SubnetAlphaIn", 1, alpha)
    return draft


def swap(draft: Draft, method: str, amount: int) -> dict[str, Any]:
    return API_METHODS[f"SwapRuntimeApi_sim_swap_{method}"](draft, 1, amount)


@pytest.mark.parametrize(
    ("tao", "alpha", "price"), [(3, 2, 1_500_000_000), (0, 2, 0), (3, 0, 0), (1, 3, 333_333_333)]
)
def test_the_price_is_the_ratio_of_the_pool_in_rao(tao: int, alpha: int, price: int) -> None:
    assert alpha_price(pool(tao, alpha), 1) == price


def test_the_price_on_the_root_network_is_one_tao() -> None:
    assert alpha_price(new_draft(), 0) == 10**9


def test_all_prices_come_by_netuid() -> None:
    draft = new_draft()
    found = API_METHODS["SwapRuntimeApi_current_alpha_price_all"](draft)
    assert found == [
        {"netuid": netuid, "price": alpha_price(draft, netuid)} for netuid in (0, 1, 2, 12)
    ]


def test_a_swap_keeps_the_product_of_the_pool() -> None:
    draft = pool(1000, 4000)
    bought = swap(draft, "tao_for_alpha", 1000)
    assert (bought["alpha_amount"], bought["alpha_slippage"]) == (2000, 2000)
    assert (bought["tao_amount"], bought["tao_slippage"]) == (1000, 0)
    sold = swap(draft, "alpha_for_tao", 4000)
    assert (sold["tao_amount"], sold["tao_slippage"]) == (500, 500)
    assert (sold["alpha_amount"], sold["alpha_slippage"]) == (4000, 0)


def test_an_empty_pool_pays_nothing() -> None:
    draft = pool(0, 0)
    assert swap(draft, "tao_for_alpha", 5)["alpha_amount"] == 0
    assert swap(draft, "alpha_for_tao", 5)["tao_amount"] == 0


def test_a_registration_costs_the_last_lock() -> None:
    draft = new_draft()
    draft.put(SUBTENSOR, "NetworkLastLockCost", 77)
    method = "SubnetRegistrationRuntimeApi_get_network_registration_cost"
    assert API_METHODS[method](draft) == 77
