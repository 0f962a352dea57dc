"""Conversion of the runtime's neuron records to the contract's neurons."""

import logging
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from pylon.chain.bounds import U16_MAX
from pylon.common.unreadable_records import UNREADABLE
from pylon_client.contract.models import (
    AxonInfo,
    AxonProtocol,
    Block,
    Neuron,
    Skipped,
    Stakes,
    SubnetNeurons,
)
from pylon_client.contract.types import AlphaStake, Hotkey, TaoStake, TotalStake

logger = logging.getLogger(__name__)

RAO_PER_TOKEN: Final = 10**9
_IP_TYPE_V6: Final = 6

RuntimeRecord = Mapping[str, Any]
"""A struct of the runtime as decoded by the SDK: numbers are ints, accounts are ss58 text."""


def decode_subnet_neurons(
    block: Block, neurons_lite: Sequence[RuntimeRecord], subnet_state: RuntimeRecord
) -> SubnetNeurons:
    """Return the neurons of a subnet at a block, from two results of the runtime at that block.

    A record that cannot be decoded is logged and listed as skipped.

    Args:
        block: the block of both results.
        neurons_lite: result of `NeuronInfoRuntimeApi.get_neurons_lite`.
        subnet_state: result of `SubnetInfoRuntimeApi.get_subnet_state`; only its stakes are used.
    """
    stakes = _stakes_by_hotkey(subnet_state)
    neurons: dict[Hotkey, Neuron] = {}
    skipped: list[Skipped] = []
    for record in sorted(neurons_lite, key=_uid_sort_key):
        try:
            neuron = _decode_neuron(record, stakes)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            UNREADABLE.report(
                logger,
                "neuron",
                # Values that change at each block are left out.
                [record.get(name) for name in ("netuid", "uid", "hotkey")] + [repr(error)],
                "Skipped the neuron with uid %s of block %d: its record cannot be decoded: %r",
                *(record.get("uid"), block.number, error),
            )
            item = str(record.get("hotkey", f"uid {record.get('uid')}"))
            skipped.append(Skipped(item=item, reason="The chain's record cannot be read."))
            continue
        neurons[neuron.hotkey] = neuron
    return SubnetNeurons(block=block, neurons=neurons, skipped=skipped)


def _uid_sort_key(record: RuntimeRecord) -> int:
    uid = record.get("uid")
    return uid if isinstance(uid, int) else U16_MAX + 1


def _stakes_by_hotkey(state: RuntimeRecord) -> dict[str, Stakes]:
    # Parallel columns, in rao. `total` is the stake that the chain uses for weights: alpha plus
    # TAO times the subnet's TAO weight.
    columns = zip(
        state["hotkeys"],
        state["alpha_stake"],
        state["tao_stake"],
        state["total_stake"],
        strict=True,
    )
    return {
        hotkey: Stakes(
            alpha=AlphaStake(alpha / RAO_PER_TOKEN),
            tao=TaoStake(tao / RAO_PER_TOKEN),
            total=TotalStake(total / RAO_PER_TOKEN),
        )
        for hotkey, alpha, tao, total in columns
    }


def _decode_neuron(record: RuntimeRecord, stakes: Mapping[str, Stakes]) -> Neuron:
    hotkey = record["hotkey"]
    # Validated, because data of the runtime is external input.
    return Neuron.model_validate(
        {
            "uid": record["uid"],
            "coldkey": record["coldkey"],
            "hotkey": hotkey,
            "active": record["active"],
            "axon_info": _decode_axon_info(record["axon_info"]),
            "stake": sum(rao for _, rao in record["stake"]) / RAO_PER_TOKEN,
            "rank": record["rank"] / U16_MAX,
            "emission": record["emission"] / RAO_PER_TOKEN,
            "incentive": record["incentive"] / U16_MAX,
            "consensus": record["consensus"] / U16_MAX,
            "trust": record["trust"] / U16_MAX,
            "validator_trust": record["validator_trust"] / U16_MAX,
            "dividends": record["dividends"] / U16_MAX,
            "last_update": record["last_update"],
            "validator_permit": record["validator_permit"],
            "pruning_score": record["pruning_score"],
            "stakes": stakes[hotkey],
        }
    )


def _decode_axon_info(record: RuntimeRecord) -> AxonInfo:
    ip: int = record["ip"]
    # A neuron that never served an axon has 0 in all fields, also as the type of its address.
    address = IPv6Address(ip) if record["ip_type"] == _IP_TYPE_V6 else IPv4Address(ip)
    return AxonInfo(ip=address, port=record["port"], protocol=AxonProtocol(record["protocol"]))
