"""`NeuronInfoRuntimeApi`."""

from collections.abc import Callable
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


_COLUMNS = {
    "active": ("Active", False),
    "emission": ("Emission", 0),
    "incentive": ("Incentive", 0),
    "consensus": ("Consensus", 0),
    "validator_trust": ("ValidatorTrust", 0),
    "dividends": ("Dividends", 0),
    "last_update": ("LastUpdate", 0),
    "validator_permit": ("ValidatorPermit", False),
}
"""Fields that are stored in one vector for all uids: storage item and default."""


def neuron_rows(state: StateReader, netuid: int) -> list[tuple[Any, ...]]:
    """Return the values of all neurons that are stored in vectors; empty without a subnet."""
    if not subnet_exists(state, netuid):
        return []
    length = neuron_count(state, netuid)
    vectors = (uid_vector(state, item, netuid, length, of) for item, of in _COLUMNS.values())
    return list(zip(*vectors, strict=True))


def neurons_lite(state: StateReader, netuid: int) -> list[dict[str, Any]]:
    """Return the neurons of a subnet without weights and bonds; empty if it does not exist."""
    rows = neuron_rows(state, netuid)
    return [neuron_lite(state, netuid, uid, row) for uid, row in enumerate(rows)]


def _neuron_lite(state: StateReader, netuid: int, uid: int) -> dict[str, Any] | None:
    rows = neuron_rows(state, netuid)
    return neuron_lite(state, netuid, uid, rows[uid]) if uid < len(rows) else None


def _neurons(state: StateReader, netuid: int) -> list[dict[str, Any]]:
    return [_full(state, netuid, lite) for lite in neurons_lite(state, netuid)]


def _neuron(state: StateReader, netuid: int, uid: int) -> dict[str, Any] | None:
    lite = _neuron_lite(state, netuid, uid)
    return None if lite is None else _full(state, netuid, lite)


def neuron_lite(state: StateReader, netuid: int, uid: int, row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a neuron without weights and bonds; `row` is its item of `neuron_rows`."""
    hotkey = value(state, "Keys", netuid, uid)
    coldkey = value(state, "Owner", hotkey)
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "uid": uid,
        "netuid": netuid,
        "axon_info": value(state, "Axons", netuid, hotkey) or NO_AXON,
        "prometheus_info": value(state, "Prometheus", netuid, hotkey) or _NO_PROMETHEUS,
        "stake": [(coldkey, alpha_stake(state, netuid, hotkey))],
        # The chain no longer stores rank, trust and pruning score; it returns these constants.
        "rank": 0,
        "trust": 0,
        "pruning_score": U16_MAX,
        **dict(zip(_COLUMNS, row, strict=True)),
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
