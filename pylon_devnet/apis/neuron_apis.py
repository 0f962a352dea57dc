"""`NeuronInfoRuntimeApi`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylon_devnet.chain_state import StateReader
from pylon_devnet.subnet_state import (
    SUBTENSOR,
    U16_MAX,
    alpha_stake,
    neuron_count,
    subnet_exists,
    uid_vector,
    value,
)

NO_AXON = dict.fromkeys(
    ("block", "version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2"), 0
)
_NO_PROMETHEUS = dict.fromkeys(("block", "version", "ip", "port", "ip_type"), 0)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The per-uid vectors of a subnet, read once for all neurons."""

    active: list[bool]
    emission: list[int]
    incentive: list[int]
    consensus: list[int]
    validator_trust: list[int]
    dividends: list[int]
    last_update: list[int]
    validator_permit: list[bool]

    @classmethod
    def read(cls, state: StateReader, netuid: int) -> "_Columns":
        """Read the vectors of a subnet."""
        length = neuron_count(state, netuid)

        def of(item: str, default: Any = 0) -> list[Any]:
            return uid_vector(state, item, netuid, length, default)

        return cls(
            active=of("Active", default=False),
            emission=of("Emission"),
            incentive=of("Incentive"),
            consensus=of("Consensus"),
            validator_trust=of("ValidatorTrust"),
            dividends=of("Dividends"),
            last_update=of("LastUpdate"),
            validator_permit=of("ValidatorPermit", default=False),
        )


def neurons_lite(state: StateReader, netuid: int) -> list[dict[str, Any]]:
    """Return the neurons of a subnet without weights and bonds; empty if it does not exist."""
    if not subnet_exists(state, netuid):
        return []
    columns = _Columns.read(state, netuid)
    return [_lite(state, netuid, uid, columns) for uid in range(neuron_count(state, netuid))]


def _neuron_lite(state: StateReader, netuid: int, uid: int) -> dict[str, Any] | None:
    if not subnet_exists(state, netuid) or uid >= neuron_count(state, netuid):
        return None
    return _lite(state, netuid, uid, _Columns.read(state, netuid))


def _neurons(state: StateReader, netuid: int) -> list[dict[str, Any]]:
    return [_full(state, netuid, lite) for lite in neurons_lite(state, netuid)]


def _neuron(state: StateReader, netuid: int, uid: int) -> dict[str, Any] | None:
    lite = _neuron_lite(state, netuid, uid)
    return None if lite is None else _full(state, netuid, lite)


def _lite(state: StateReader, netuid: int, uid: int, columns: _Columns) -> dict[str, Any]:
    hotkey = value(state, "Keys", netuid, uid)
    coldkey = value(state, "Owner", hotkey)
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "uid": uid,
        "netuid": netuid,
        "active": columns.active[uid],
        "axon_info": value(state, "Axons", netuid, hotkey) or NO_AXON,
        "prometheus_info": value(state, "Prometheus", netuid, hotkey) or _NO_PROMETHEUS,
        "stake": [(coldkey, alpha_stake(state, netuid, hotkey))],
        # The chain no longer stores rank, trust and pruning score; it returns these constants.
        "rank": 0,
        "emission": columns.emission[uid],
        "incentive": columns.incentive[uid],
        "consensus": columns.consensus[uid],
        "trust": 0,
        "validator_trust": columns.validator_trust[uid],
        "dividends": columns.dividends[uid],
        "last_update": columns.last_update[uid],
        "validator_permit": columns.validator_permit[uid],
        "pruning_score": U16_MAX,
    }


def _full(state: StateReader, netuid: int, lite: dict[str, Any]) -> dict[str, Any]:
    uid = lite["uid"]
    return {
        **lite,
        "weights": state.get(SUBTENSOR, "Weights", netuid, uid),
        "bonds": state.get(SUBTENSOR, "Bonds", netuid, uid),
    }


API_METHODS: dict[str, Callable[..., Any]] = {
    "NeuronInfoRuntimeApi_get_neurons": _neurons,
    "NeuronInfoRuntimeApi_get_neuron": _neuron,
    "NeuronInfoRuntimeApi_get_neurons_lite": neurons_lite,
    "NeuronInfoRuntimeApi_get_neuron_lite": _neuron_lite,
}
