"""The reads of a subnet itself: its hyperparameters and price."""

from typing import Final

from pylon_client.contract.models import SubnetHyperparameters, SubnetPrice, SubnetPrices
from pylon_client.contract.operation import NoParams, Operation
from pylon_client.contract.reads.read_params import BlockParams

LATEST_HYPERPARAMETERS: Final = Operation(
    name="hyperparameters.latest",
    summary="The hyperparameters of a subnet at the latest block",
    params=NoParams,
    reply=SubnetHyperparameters,
    path="/block/latest/hyperparameters",
)
HYPERPARAMETERS_AT: Final = Operation(
    name="hyperparameters.at",
    summary="The hyperparameters of a subnet at a block",
    params=BlockParams,
    reply=SubnetHyperparameters,
    path="/block/{block_number}/hyperparameters",
)
LATEST_PRICE: Final = Operation(
    name="price.latest",
    summary="The price of a subnet's alpha at the latest block",
    params=NoParams,
    reply=SubnetPrice,
    path="/block/latest/price",
)
PRICE_AT: Final = Operation(
    name="price.at",
    summary="The price of a subnet's alpha at a block",
    params=BlockParams,
    reply=SubnetPrice,
    path="/block/{block_number}/price",
)
LATEST_PRICES: Final = Operation(
    name="prices.latest",
    summary="The price of every subnet's alpha at the latest block",
    params=NoParams,
    reply=SubnetPrices,
    path="/block/latest/prices",
    per_subnet=False,
)
PRICES_AT: Final = Operation(
    name="prices.at",
    summary="The price of every subnet's alpha at a block",
    params=BlockParams,
    reply=SubnetPrices,
    path="/block/{block_number}/prices",
    per_subnet=False,
)
