"""The runtime's neuron records as JSON of the contract, without models on the way.

Each record is validated once, against the types and ranges that the runtime has. The classes here
have the fields of the contract's models in the same order, so both have the same JSON.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pylon.chain.bounds import U16_MAX, ImplausibleError
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract import json_codec
from pylon_client.contract.models import Block, Skipped

logger = logging.getLogger(__name__)

RAO_PER_TOKEN: Final = 10**9
MAX_CACHED_ADDRESSES: Final = 32_768
"""Maximum number of remembered texts of IP addresses: one per neuron of the chain, about 8 MB."""
_IP_TYPE_V6: Final = 6

RuntimeRecord = Mapping[str, Any]
"""A struct of the runtime as decoded by the SDK: numbers are ints, accounts are ss58 text."""

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


@dataclass(frozen=True, slots=True)
class EncodedNeurons:
    """The fields of `SubnetNeurons` after its block, as JSON.

    Attributes:
        fields: the JSON after the block, up to the end of the body.
        skipped_count: number of records that could not be decoded.
    """

    fields: bytes
    skipped_count: int


def encode_neurons(
    block: Block, neurons_lite: Sequence[RuntimeRecord], subnet_state: RuntimeRecord
) -> EncodedNeurons:
    """Return the neurons of a subnet, from two results of the runtime at one block.

    A record that cannot be decoded is logged and listed as skipped.

    Args:
        block: the block of both results, for the log only.
        neurons_lite: result of `NeuronInfoRuntimeApi.get_neurons_lite`.
        subnet_state: result of `SubnetInfoRuntimeApi.get_subnet_state`; only its stakes are used.

    Raises:
        ImplausibleError: the stakes cannot be decoded.
    """
    stakes = _stakes_by_hotkey(subnet_state)
    neurons: dict[str, _NeuronJson] = {}
    skipped: list[Skipped] = []
    for record in sorted(neurons_lite, key=_uid_sort_key):
        try:
            valid = msgspec.convert(record, _NeuronRecord)
            neurons[valid.hotkey] = _neuron(valid, stakes[valid.hotkey])
        except (LookupError, ValueError, OverflowError) as error:
            skipped.append(_skip(block, record, error))
    fields = b'"skipped":%b,"neurons":%b}' % (
        json_codec.encode(skipped),
        json_codec.encode(neurons),
    )
    return EncodedNeurons(fields, len(skipped))


def _uid_sort_key(record: RuntimeRecord) -> int:
    uid = record.get("uid")
    return uid if isinstance(uid, int) else U16_MAX + 1


def _skip(block: Block, record: RuntimeRecord, error: Exception) -> Skipped:
    UNREADABLE.report(
        logger,
        "neuron",
        # Values that change at each block are left out.
        [record.get(name) for name in ("netuid", "uid", "hotkey")] + [repr(error)],
        "Skipped the neuron with uid %s of block %d: its record cannot be decoded: %r",
        *(record.get("uid"), block.number, error),
    )
    item = str(record.get("hotkey", f"uid {record.get('uid')}"))
    return Skipped(item=item, reason="The chain's record cannot be read.")


def _stakes_by_hotkey(state: RuntimeRecord) -> dict[str, _StakesJson]:
    try:
        columns = msgspec.convert(state, _StakeColumns)
        return {
            hotkey: _StakesJson(alpha / RAO_PER_TOKEN, tao / RAO_PER_TOKEN, total / RAO_PER_TOKEN)
            for hotkey, alpha, tao, total in zip(
                columns.hotkeys,
                columns.alpha_stake,
                columns.tao_stake,
                columns.total_stake,
                strict=True,
            )
        }
    except (ValueError, OverflowError) as error:
        raise ImplausibleError("The stakes of a subnet", state) from error


def _neuron(record: _NeuronRecord, stakes: _StakesJson) -> _NeuronJson:
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
        stakes,
    )


@lru_cache(MAX_CACHED_ADDRESSES)
def _address_text(ip: int, ip_type: int) -> str:
    # A neuron that never served an axon has 0 in all fields, also as the type of its address.
    return str(IPv6Address(ip) if ip_type == _IP_TYPE_V6 else IPv4Address(ip))
