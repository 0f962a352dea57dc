"""Prices of runtimes without an API for prices."""

from typing import Any

from pylon.chain.queries.price_queries import Prices
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk

BLOCK = block_of(1_000)


async def test_prices_of_older_runtimes_are_the_ratio_of_the_pool() -> None:
    pools: list[Any] = [
        {"netuid": 0, "tao_in": 5, "alpha_in": 0},
        None,
        {"netuid": 2, "tao_in": 3 * 10**9, "alpha_in": 2 * 10**9},
        {"netuid": 3, "tao_in": 1, "alpha_in": 0},
    ]
    sdk = ScriptedSdk(apis={"get_all_dynamic_info": lambda: pools})
    found = await Prices().execute(sdk, BLOCK)
    assert {netuid: price.value for netuid, price in found.prices.items()} == {
        0: 10**9,
        2: 1_500_000_000,
        3: 0,
    }
