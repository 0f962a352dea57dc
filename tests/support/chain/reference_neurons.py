"""The neurons of a subnet by way of the contract's models: the reference of the fast encoding."""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pylon_client.contract.models import AxonInfo, Block, Neuron, Skipped, Stakes, SubnetNeurons
from pylon_client.contract.types import AlphaStake, Hotkey, TaoStake, TotalStake

TOKEN = 10**9
U16 = 65_535
Byte = Annotated[int, Field(ge=0, le=255)]
Short = Annotated[int, Field(ge=0, le=U16)]
Unsigned = Annotated[int, Field(ge=0)]


class RecordModel(BaseModel):
    model_config = ConfigDict(strict=True)


class AxonModel(RecordModel):
    ip: Unsigned
    port: Short
    ip_type: Byte
    protocol: Byte


class NeuronModel(RecordModel):
    uid: Short
    coldkey: str
    hotkey: str
    active: bool
    axon_info: AxonModel
    stake: list[tuple[str, Unsigned]]
    rank: Short
    emission: Unsigned
    incentive: Short
    consensus: Short
    trust: Short
    validator_trust: Short
    dividends: Short
    last_update: Annotated[int, Field(ge=0, le=2**63 - 1)]
    validator_permit: bool
    pruning_score: Short


def reference_neurons(
    block: Block, neurons_lite: list[dict[str, Any]], state: dict[str, Any]
) -> SubnetNeurons:
    """Return the neurons of a subnet from two decoded answers of the runtime."""
    columns = zip(
        state["hotkeys"],
        state["alpha_stake"],
        state["tao_stake"],
        state["total_stake"],
        strict=True,
    )
    stakes = {
        hotkey: Stakes(
            alpha=AlphaStake(alpha / TOKEN),
            tao=TaoStake(tao / TOKEN),
            total=TotalStake(total / TOKEN),
        )
        for hotkey, alpha, tao, total in columns
    }
    neurons: dict[Hotkey, Neuron] = {}
    skipped: list[Skipped] = []

    def uid_of(record: dict[str, Any]) -> int:
        uid = record.get("uid")
        return uid if isinstance(uid, int) else U16 + 1

    for record in sorted(neurons_lite, key=uid_of):
        try:
            neuron = _neuron(NeuronModel.model_validate(record), stakes)
        except (KeyError, ValueError, OverflowError):
            item = str(record.get("hotkey", f"uid {record.get('uid')}"))
            skipped.append(Skipped(item=item, reason="The chain's record cannot be read."))
        else:
            neurons[neuron.hotkey] = neuron
    return SubnetNeurons(block=block, neurons=neurons, skipped=skipped)


def _neuron(record: NeuronModel, stakes: dict[str, Stakes]) -> Neuron:
    axon = record.axon_info
    address = IPv6Address(axon.ip) if axon.ip_type == 6 else IPv4Address(axon.ip)
    shares = ("rank", "incentive", "consensus", "trust", "validator_trust", "dividends")
    return Neuron.model_validate(
        {
            **record.model_dump(),
            **{name: getattr(record, name) / U16 for name in shares},
            "axon_info": AxonInfo.model_validate(
                {"ip": address, "port": axon.port, "protocol": axon.protocol}
            ),
            "stake": sum(rao for _, rao in record.stake) / TOKEN,
            "emission": record.emission / TOKEN,
            "stakes": stakes[record.hotkey],
        }
    )
