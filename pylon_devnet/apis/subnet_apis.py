"""`SubnetInfoRuntimeApi`: state, metagraph, hyperparameters and pools of subnets."""

from collections.abc import Callable
from typing import Any

from pylon_devnet.apis.hyperparameter_apis import (
    hyperparameter_values,
    hyperparameters_v2,
    hyperparameters_v3,
)
from pylon_devnet.apis.neuron_apis import NO_AXON
from pylon_devnet.chain_state import StateReader
from pylon_devnet.subnet_state import (
    MECHANISM_STRIDE,
    ROOT_NETUID,
    U16_MAX,
    alpha_stake,
    netuids,
    neuron_count,
    next_epoch_block,
    stake_weight,
    storage_index,
    subnet_exists,
    uid_vector,
    value,
)

_NEURON_COLUMNS = (
    "hotkeys", "coldkeys", "block_at_registration", "alpha_stake", "tao_stake", "total_stake",
)  # fmt: skip
"""Columns whose values are stored per neuron, in the order of `_neuron`."""


def subnet_state(state: StateReader, netuid: int) -> dict[str, Any] | None:
    """Return the columns of a subnet's neurons, or None if it does not exist."""
    if not subnet_exists(state, netuid):
        return None
    return {"netuid": netuid, **_columns(state, netuid, netuid), "emission_history": []}


def _neuron(state: StateReader, netuid: int, uid: int, _row: None) -> tuple[Any, ...]:
    key = value(state, "Keys", netuid, uid)
    return (
        key,
        value(state, "Owner", key),
        value(state, "BlockAtRegistration", netuid, uid),
        alpha_stake(state, netuid, key),
        alpha_stake(state, ROOT_NETUID, key),
        stake_weight(state, netuid, key),
    )


def _columns(state: StateReader, netuid: int, index: int) -> dict[str, list[Any]]:
    count = neuron_count(state, netuid)
    neurons = state.for_each_uid(_neuron, netuid, [None] * count)
    columns = zip(*neurons, strict=True) if neurons else [()] * len(_NEURON_COLUMNS)

    def of(item: str, default: Any = 0) -> list[Any]:
        return uid_vector(state, item, index, count, default)

    return {
        **dict(zip(_NEURON_COLUMNS, map(list, columns), strict=True)),
        "active": uid_vector(state, "Active", netuid, count, default=False),
        "validator_permit": uid_vector(state, "ValidatorPermit", netuid, count, default=False),
        "pruning_score": [U16_MAX] * count,
        "last_update": of("LastUpdate"),
        "emission": uid_vector(state, "Emission", netuid, count),
        "dividends": uid_vector(state, "Dividends", netuid, count),
        "incentives": of("Incentive"),
        "consensus": uid_vector(state, "Consensus", netuid, count),
        "trust": [0] * count,
        "rank": [0] * count,
    }


def _metagraph(state: StateReader, netuid: int, mechanism: int = 0) -> dict[str, Any] | None:
    if not subnet_exists(state, netuid) or mechanism >= value(
        state, "MechanismCountCurrent", netuid
    ):
        return None
    columns = _columns(state, netuid, storage_index(netuid, mechanism))
    keys = columns["hotkeys"]
    dividends = [
        (key, int(value(state, "AlphaDividendsPerSubnet", netuid, key)))
        for key, paid in zip(keys, columns["dividends"], strict=True)
        if paid
    ]
    return {
        **_description(state, netuid),
        **hyperparameter_values(state, netuid),
        **columns,
        "netuid": netuid + mechanism * MECHANISM_STRIDE,
        "identities": [value(state, "IdentitiesV2", owner) for owner in columns["coldkeys"]],
        "axons": [value(state, "Axons", netuid, key) or NO_AXON for key in keys],
        "tao_dividends_per_hotkey": [(key, 0) for key in keys],
        "alpha_dividends_per_hotkey": dividends,
    }


def _description(state: StateReader, netuid: int) -> dict[str, Any]:
    identity = value(state, "SubnetIdentitiesV3", netuid)
    name = identity["subnet_name"] if identity else ""
    pending = value(state, "PendingServerEmission", netuid)
    pending += value(state, "PendingValidatorEmission", netuid)
    return {
        "name": list(_as_bytes(name)),
        "symbol": list(_as_bytes(value(state, "TokenSymbol", netuid))),
        "identity": identity,
        "network_registered_at": value(state, "NetworkRegisteredAt", netuid),
        "owner_hotkey": value(state, "SubnetOwnerHotkey", netuid),
        "owner_coldkey": value(state, "SubnetOwner", netuid),
        "block": state.number,
        "tempo": value(state, "Tempo", netuid),
        "last_step": value(state, "LastMechansimStepBlock", netuid),
        "blocks_since_last_step": value(state, "BlocksSinceLastStep", netuid),
        "subnet_emission": 0,
        "alpha_in": value(state, "SubnetAlphaIn", netuid),
        "alpha_out": value(state, "SubnetAlphaOut", netuid),
        "tao_in": value(state, "SubnetTAO", netuid),
        "alpha_out_emission": value(state, "SubnetAlphaOutEmission", netuid),
        "alpha_in_emission": value(state, "SubnetAlphaInEmission", netuid),
        "tao_in_emission": value(state, "SubnetTaoInEmission", netuid),
        "pending_alpha_emission": pending,
        "pending_root_emission": 0,
        "subnet_volume": value(state, "SubnetVolume", netuid),
        "moving_price": value(state, "SubnetMovingPrice", netuid),
    }


def _dynamic_info(state: StateReader, netuid: int) -> dict[str, Any] | None:
    if not subnet_exists(state, netuid):
        return None
    known = _description(state, netuid)
    return {
        **known,
        "netuid": netuid,
        "subnet_name": known["name"],
        "token_symbol": known["symbol"],
        "emission": known["subnet_emission"],
        "subnet_identity": known["identity"],
    }


def _subnet_info(state: StateReader, netuid: int) -> dict[str, Any] | None:
    if not subnet_exists(state, netuid):
        return None
    known = {**_description(state, netuid), **hyperparameter_values(state, netuid)}
    return {
        **known,
        "netuid": netuid,
        "max_allowed_validators": known["max_validators"],
        "scaling_law_power": value(state, "ScalingLawPower", netuid),
        "subnetwork_n": known["num_uids"],
        "max_allowed_uids": known["max_uids"],
        "network_modality": 0,
        "network_connect": [],
        "emission_value": 0,
        "emission_values": 0,
        "owner": known["owner_coldkey"],
    }


def _selective_metagraph(
    state: StateReader, netuid: int, indexes: list[int], mechanism: int = 0
) -> dict[str, Any] | None:
    graph = _metagraph(state, netuid, mechanism)
    if graph is None:
        return None
    graph["validators"] = [
        uid for uid, permitted in enumerate(graph["validator_permit"]) if permitted
    ]
    graph["commitments"] = []
    chosen = {SELECTIVE_FIELDS[index] for index in indexes if index < len(SELECTIVE_FIELDS)}
    answer = {name: graph[name] if name in chosen else None for name in SELECTIVE_FIELDS}
    return {**answer, "netuid": graph["netuid"]}


def _all(one: Callable[[StateReader, int], Any]) -> Callable[[StateReader], list[Any]]:
    return lambda state: [one(state, netuid) for netuid in netuids(state)]


def _selective_mechagraph(
    state: StateReader, netuid: int, mechanism: int, indexes: list[int]
) -> dict[str, Any] | None:
    return _selective_metagraph(state, netuid, indexes, mechanism)


def _all_mechagraphs(state: StateReader) -> list[Any]:
    return [
        _metagraph(state, netuid, mechanism)
        for netuid in netuids(state)
        for mechanism in range(value(state, "MechanismCountCurrent", netuid))
    ]


def _auto_stake_hotkey(state: StateReader, coldkey: str, netuid: int) -> str | None:
    return value(state, "AutoStakeDestination", coldkey, netuid)


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


SELECTIVE_FIELDS = (
    "netuid", "name", "symbol", "identity", "network_registered_at", "owner_hotkey",
    "owner_coldkey", "block", "tempo", "last_step", "blocks_since_last_step", "subnet_emission",
    "alpha_in", "alpha_out", "tao_in", "alpha_out_emission", "alpha_in_emission",
    "tao_in_emission", "pending_alpha_emission", "pending_root_emission", "subnet_volume",
    "moving_price", "rho", "kappa", "min_allowed_weights", "max_weights_limit", "weights_version",
    "weights_rate_limit", "activity_cutoff", "max_validators", "num_uids", "max_uids", "burn",
    "difficulty", "registration_allowed", "pow_registration_allowed", "immunity_period",
    "min_difficulty", "max_difficulty", "min_burn", "max_burn", "adjustment_alpha",
    "adjustment_interval", "target_regs_per_interval", "max_regs_per_block", "serving_rate_limit",
    "commit_reveal_weights_enabled", "commit_reveal_period", "liquid_alpha_enabled", "alpha_high",
    "alpha_low", "bonds_moving_avg", "hotkeys", "coldkeys", "identities", "axons", "active",
    "validator_permit", "pruning_score", "last_update", "emission", "dividends", "incentives",
    "consensus", "trust", "rank", "block_at_registration", "alpha_stake", "tao_stake",
    "total_stake", "tao_dividends_per_hotkey", "alpha_dividends_per_hotkey", "validators",
    "commitments",
)  # fmt: skip
"""The fields of a selective metagraph; callers select them by index."""

API_METHODS: dict[str, Callable[..., Any]] = {
    f"SubnetInfoRuntimeApi_{name}": function
    for name, function in {
        "get_subnet_info": _subnet_info,
        "get_subnets_info": _all(_subnet_info),
        "get_subnet_info_v2": _subnet_info,
        "get_subnets_info_v2": _all(_subnet_info),
        "get_subnet_hyperparams": hyperparameters_v2,
        "get_subnet_hyperparams_v2": hyperparameters_v2,
        "get_subnet_hyperparams_v3": hyperparameters_v3,
        "get_all_dynamic_info": _all(_dynamic_info),
        "get_dynamic_info": _dynamic_info,
        "get_all_metagraphs": _all(_metagraph),
        "get_metagraph": _metagraph,
        "get_all_mechagraphs": _all_mechagraphs,
        "get_mechagraph": _metagraph,
        "get_subnet_state": subnet_state,
        "get_selective_metagraph": _selective_metagraph,
        "get_selective_mechagraph": _selective_mechagraph,
        "get_coldkey_auto_stake_hotkey": _auto_stake_hotkey,
        "get_next_epoch_start_block": next_epoch_block,
    }.items()
}
