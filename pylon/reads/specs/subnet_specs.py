"""The rows of reads of subnets: hyperparameters and prices."""

from typing import Any, Final

from pylon.chain.queries.hyperparameter_queries import Hyperparameters
from pylon.chain.queries.price_queries import Prices
from pylon.chain.query import AnyQuery
from pylon.reads import projections
from pylon.reads.projections import AnyRead
from pylon.reads.read_spec import ReadSpec
from pylon_client.contract import reads


def _hyperparameters(read: AnyRead) -> AnyQuery:
    return Hyperparameters(read.netuid)


def _prices(_read: AnyRead) -> AnyQuery:
    return Prices()


SUBNET_SPECS: Final[tuple[ReadSpec[Any], ...]] = (
    ReadSpec(reads.LATEST_HYPERPARAMETERS, _hyperparameters),
    ReadSpec(reads.HYPERPARAMETERS_AT, _hyperparameters),
    ReadSpec(reads.LATEST_PRICE, _prices, projections.price),
    ReadSpec(reads.PRICE_AT, _prices, projections.price),
    ReadSpec(reads.LATEST_PRICES, _prices),
    ReadSpec(reads.PRICES_AT, _prices),
)
