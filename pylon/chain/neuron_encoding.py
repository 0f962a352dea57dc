"""The runtime's neuron records as JSON of the contract, without models on the way.

Each record is validated once, against the types and ranges that the runtime has. The classes here
have the fields of the contract's models in the same order, so both have the same JSON.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pylon.chain.bounds import U16_MAX, ImplausibleError
from pylon_client.contract import json_codec

RAO_PER_TOKEN: Final = 10**9
MAX_CACHED_ADDRESSES: Final = 32_768
"""Maximum number of remembered texts of IP addresses: one per neuron of the chain, about 8 MB."""
_IP_TYPE_V6: Final = 6

RuntimeRecord = Mapping[str, Any]
"""A struct of the runtime as decoded by the SDK: numbers are ints, accounts are ss58 text."""

NeuronStakes = tuple[int, int, int]
"""The alpha, TAO and total stake of a neuron, in rao."""

_U8 = Annotated[int, Meta(ge=0, le=2**8 - 1)]
_U16 = Annotated[int, Meta(ge=0, le=U16_MAX)]
_BlockCount = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Amount = Annotated[int, Meta(ge=0)]


# Without garbage collection: values in them cannot refer back to them.
class _AxonRecord(Struct, gc=False):
    ip: _Amount
    port: _U16
    ip_type: _U8
    protocol: _U8


class _NeuronRecord(Struct, gc=False):
    hotkey: str
    coldkey: str
    uid: _U16
    active: bool
    axon_info: _AxonRecord
    stake: list[tuple[str, _Amount]]
    rank: _U16
    emission: _Amount
    incentive: _U16
    consensus: _U16
    trust: _U16
    validator_trust: _U16
    dividends: _U16
    last_update: _BlockCount
    validator_permit: bool
    pruning_score: _U16


class _StakeColumns(Struct):
    """Parallel columns, in rao.

    `total_stake` is the stake that the chain uses for weights: alpha plus TAO times the subnet's
    TAO weight.
    """

    hotkeys: list[str]
    alpha_stake: list[_Amount]
    tao_stake: list[_Amount]
    total_stake: list[_Amount]


class _AxonJson(Struct, gc=False):
    ip: str
    port: int
    protocol: int


class _StakesJson(Struct, gc=False):
    alpha: float
    tao: float
    total: float


class _NeuronJson(Struct, gc=False):
    uid: int
    coldkey: str
    hotkey: str
    active: bool
    axon_info: _AxonJson
    stake: float
    rank: float
    emission: float
    incentive: float
    consensus: float
    trust: float
    validator_trust: float
    dividends: float
    last_update: int
    validator_permit: bool
    pruning_score: int
    stakes: _StakesJson


class EncodedNeuron(Struct, frozen=True, gc=False):
    """A neuron that was read and encoded.

    Attributes:
        data: SCALE bytes of its record; empty if they are unknown.
        uid: its uid.
        hotkey: its hotkey.
        stakes: its stakes.
        json: its name and its fields, as in the JSON of all neurons.
    """

    data: bytes
    uid: int
    hotkey: str
    stakes: NeuronStakes
    json: bytes


def encode_neuron(
    data: bytes, record: RuntimeRecord, stakes: Mapping[str, NeuronStakes]
) -> EncodedNeuron:
    """Validate a record and return it as JSON.

    Args:
        data: SCALE bytes of the record.
        record: an item of the result of `NeuronInfoRuntimeApi.get_neurons_lite`.
        stakes: the stakes of the subnet's hotkeys.

    Raises:
        LookupError: the stakes of the neuron are missing.
        OverflowError: a number is too large for the JSON.
        ValueError: the record cannot be decoded.
    """
    valid = msgspec.convert(record, _NeuronRecord)
    own_stakes = stakes[valid.hotkey]
    json = json_codec.encode({valid.hotkey: _neuron(valid, own_stakes)})[1:-1]
    return EncodedNeuron(data, valid.uid, valid.hotkey, own_stakes, json)


def stakes_by_hotkey(state: RuntimeRecord) -> dict[str, NeuronStakes]:
    """Return the stakes of a result of `SubnetInfoRuntimeApi.get_subnet_state`.

    Raises:
        ImplausibleError: the stakes cannot be decoded.
    """
    try:
        columns = msgspec.convert(state, _StakeColumns)
        stakes = (columns.alpha_stake, columns.tao_stake, columns.total_stake)
        float(max(max(column, default=0) for column in stakes))  # of the JSON
        return dict(zip(columns.hotkeys, zip(*stakes, strict=True), strict=True))
    except (ValueError, OverflowError) as error:
        raise ImplausibleError("The stakes of a subnet", state) from error


def _neuron(record: _NeuronRecord, stakes: NeuronStakes) -> _NeuronJson:
    axon = record.axon_info
    return _NeuronJson(
        record.uid,
        record.coldkey,
        record.hotkey,
        record.active,
        _AxonJson(_address_text(axon.ip, axon.ip_type), axon.port, axon.protocol),
        sum([rao for _, rao in record.stake]) / RAO_PER_TOKEN,
        record.rank / U16_MAX,
        record.emission / RAO_PER_TOKEN,
        record.incentive / U16_MAX,
        record.consensus / U16_MAX,
        record.trust / U16_MAX,
        record.validator_trust / U16_MAX,
        record.dividends / U16_MAX,
        record.last_update,
        record.validator_permit,
        record.pruning_score,
        _StakesJson(*(rao / RAO_PER_TOKEN for rao in stakes)),
    )


@lru_cache(MAX_CACHED_ADDRESSES)
def _address_text(ip: int, ip_type: int) -> str:
    # A neuron that never served an axon has 0 in all fields, also as the type of its address.
    return str(IPv6Address(ip) if ip_type == _IP_TYPE_V6 else IPv4Address(ip))
