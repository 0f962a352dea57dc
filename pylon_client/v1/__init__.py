"""The public API of the client, version 1.

    from pylon_client.v1 import AsyncConfig, AsyncPylonClient, NetUid

    async with AsyncPylonClient(AsyncConfig(address="http://localhost:8000")) as client:
        response = await client.open_access.get_latest_neurons(NetUid(1))

Names are added here and never taken away.
"""

from pylon_client.asynchronous import AsyncPylonClient
from pylon_client.config import AsyncConfig, Config, PylonTimeout
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.models import (
    AxonInfo,
    AxonProtocol,
    BittensorModel,
    Block,
    BlockInfo,
    Neuron,
    Stakes,
    SubnetNeurons,
)
from pylon_client.contract.types import (
    AlphaStake,
    BlockHash,
    BlockNumber,
    Coldkey,
    Consensus,
    Dividends,
    Emission,
    Hotkey,
    IdentityName,
    Incentive,
    NetUid,
    NeuronActive,
    NeuronUid,
    Port,
    PruningScore,
    PylonAuthToken,
    Rank,
    Stake,
    TaoStake,
    Timestamp,
    TotalStake,
    Trust,
    ValidatorPermit,
    ValidatorTrust,
    Weight,
)
from pylon_client.errors import (
    BasePylonException,
    PylonBadGateway,
    PylonClosed,
    PylonForbidden,
    PylonMisconfigured,
    PylonNetuidMismatch,
    PylonNotFound,
    PylonRateLimited,
    PylonRequestException,
    PylonResponseException,
    PylonTimeoutException,
    PylonUnauthorized,
    PylonUnavailable,
    TimeoutReason,
)
from pylon_client.responses import GetLatestBlockInfoResponse, GetNeuronsResponse
from pylon_client.retry import ASYNC_DEFAULT_RETRIES, DEFAULT_RETRIES
from pylon_client.synchronous import PylonClient

__all__ = [
    "ASYNC_DEFAULT_RETRIES",
    "DEFAULT_RETRIES",
    "AlphaStake",
    "AsyncConfig",
    "AsyncPylonClient",
    "AxonInfo",
    "AxonProtocol",
    "BasePylonException",
    "BittensorModel",
    "Block",
    "BlockHash",
    "BlockInfo",
    "BlockNumber",
    "Coldkey",
    "Config",
    "Consensus",
    "Dividends",
    "Emission",
    "ErrorCode",
    "GetLatestBlockInfoResponse",
    "GetNeuronsResponse",
    "Hotkey",
    "IdentityName",
    "Incentive",
    "NetUid",
    "Neuron",
    "NeuronActive",
    "NeuronUid",
    "Port",
    "PruningScore",
    "PylonAuthToken",
    "PylonBadGateway",
    "PylonClient",
    "PylonClosed",
    "PylonForbidden",
    "PylonMisconfigured",
    "PylonNetuidMismatch",
    "PylonNotFound",
    "PylonRateLimited",
    "PylonRequestException",
    "PylonResponseException",
    "PylonTimeout",
    "PylonTimeoutException",
    "PylonUnauthorized",
    "PylonUnavailable",
    "Rank",
    "Stake",
    "Stakes",
    "SubnetNeurons",
    "TaoStake",
    "TimeoutReason",
    "Timestamp",
    "TotalStake",
    "Trust",
    "ValidatorPermit",
    "ValidatorTrust",
    "Weight",
]
