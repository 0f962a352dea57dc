"""The alpha price of each subnet."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from pylon.chain.bounds import u16, u64
from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import AlphaPrice, Block, SubnetPrices
from pylon_client.contract.types import AlphaPriceRao, NetUid

RAO_PER_TAO: Final = 10**9
_ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class Prices(Query[SubnetPrices]):
    """The alpha price of every subnet."""

    async def execute(self, sdk: Sdk, block: Block) -> SubnetPrices:
        """Return the alpha price of every subnet, in rao; one TAO for the root network."""
        try:
            found = await sdk.runtime_call(
                "SwapRuntimeApi", "current_alpha_price_all", [], block.hash
            )
            prices = [
                (u16(record["netuid"], "A netuid"), u64(record["price"], "A price"))
                for record in found
            ]
        except ValueError:  # raised by the SDK if the runtime lacks the API
            found = await sdk.runtime_call(
                "SubnetInfoRuntimeApi", "get_all_dynamic_info", [], block.hash
            )
            prices = _prices_from_pools(record for record in found if record is not None)
        return SubnetPrices(
            block=block,
            prices={
                NetUid(netuid): AlphaPrice(value=AlphaPriceRao(price))
                for netuid, price in sorted(prices)
            },
        )


def _prices_from_pools(records: Iterable[Any]) -> list[tuple[int, int]]:
    """Return prices for runtimes without the API: the ratio of TAO to alpha in each pool."""
    return [_price_from_pool(cast("dict[str, int]", record)) for record in records]


def _price_from_pool(record: dict[str, int]) -> tuple[int, int]:
    netuid, alpha = u16(record["netuid"], "A netuid"), u64(record["alpha_in"], "A pool")
    if netuid == _ROOT:
        return netuid, RAO_PER_TAO
    return netuid, u64(record["tao_in"], "A pool") * RAO_PER_TAO // alpha if alpha else 0
