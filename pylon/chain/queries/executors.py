"""The function that executes each query."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from pylon.chain import query
from pylon.chain.queries.certificate_queries import read_certificates
from pylon.chain.queries.commitment_queries import read_commitments, read_revealed_commitments
from pylon.chain.queries.drand_queries import read_last_drand_round
from pylon.chain.queries.evm_queries import read_evm_associations
from pylon.chain.queries.extrinsic_queries import read_extrinsics
from pylon.chain.queries.hyperparameter_queries import read_hyperparameters
from pylon.chain.queries.neuron_queries import read_neurons
from pylon.chain.queries.price_queries import read_prices
from pylon.chain.queries.weight_queries import read_weights_status
from pylon.chain.query import Query, ResultT_co
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import Block

_Execute = Callable[[Sdk, Any, Block], Awaitable[Any]]

EXECUTORS: Final[Mapping[type[Any], _Execute]] = {
    query.Neurons: read_neurons,
    query.Commitments: read_commitments,
    query.RevealedCommitments: read_revealed_commitments,
    query.CertificatesOf: read_certificates,
    query.Hyperparameters: read_hyperparameters,
    query.Prices: read_prices,
    query.EvmAssociations: read_evm_associations,
    query.Extrinsics: read_extrinsics,
    query.LastDrandRound: read_last_drand_round,
    query.WeightsOf: read_weights_status,
}


async def execute(sdk: Sdk, query: Query[ResultT_co], block: Block) -> ResultT_co:
    """Execute a query at a block with the SDK."""
    read = cast("_Execute", EXECUTORS[type(query)])
    return cast("ResultT_co", await read(sdk, query, block))
