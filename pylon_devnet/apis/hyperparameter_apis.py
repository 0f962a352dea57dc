"""Hyperparameters of a subnet under their names in the runtime APIs."""

from typing import Any

from pylon_devnet.chain_state import StateReader
from pylon_devnet.subnet_state import subnet_exists, value

MAX_WEIGHTS_LIMIT = 65_535
"""Constant result of the chain's `get_max_weight_limit`; `MaxWeightsLimit` is ignored."""

_U16, _U32, _U64, _BOOL, _TAO = "U16", "U32", "U64", "Bool", "TaoBalance"

_ITEMS: dict[str, tuple[str, str]] = {
    "rho": ("Rho", _U16),
    "kappa": ("Kappa", _U16),
    "immunity_period": ("ImmunityPeriod", _U16),
    "min_allowed_weights": ("MinAllowedWeights", _U16),
    "tempo": ("Tempo", _U16),
    "min_difficulty": ("MinDifficulty", _U64),
    "max_difficulty": ("MaxDifficulty", _U64),
    "weights_version": ("WeightsVersionKey", _U64),
    "weights_rate_limit": ("WeightsSetRateLimit", _U64),
    "adjustment_interval": ("AdjustmentInterval", _U16),
    "activity_cutoff": ("ActivityCutoff", _U64),
    "activity_cutoff_factor": ("ActivityCutoffFactorMilli", _U32),
    "registration_allowed": ("NetworkRegistrationAllowed", _BOOL),
    "network_pow_registration_allowed": ("NetworkPowRegistrationAllowed", _BOOL),
    "target_regs_per_interval": ("TargetRegistrationsPerInterval", _U16),
    "min_burn": ("MinBurn", _TAO),
    "max_burn": ("MaxBurn", _TAO),
    "bonds_moving_avg": ("BondsMovingAverage", _U64),
    "max_regs_per_block": ("MaxRegistrationsPerBlock", _U16),
    "serving_rate_limit": ("ServingRateLimit", _U64),
    "max_validators": ("MaxAllowedValidators", _U16),
    "adjustment_alpha": ("AdjustmentAlpha", _U64),
    "difficulty": ("Difficulty", _U64),
    "commit_reveal_period": ("RevealPeriodEpochs", _U64),
    "commit_reveal_weights_enabled": ("CommitRevealWeightsEnabled", _BOOL),
    "liquid_alpha_enabled": ("LiquidAlphaOn", _BOOL),
    "yuma3_enabled": ("Yuma3On", _BOOL),
    "bonds_penalty": ("BondsPenalty", _U16),
    "bonds_reset_enabled": ("BondsResetOn", _BOOL),
    "max_allowed_uids": ("MaxAllowedUids", _U16),
    "min_childkey_take": ("MinChildkeyTakePerSubnet", _U16),
    "owner_immune_neuron_limit": ("ImmuneOwnerUidsLimit", _U16),
    "burn_half_life": ("BurnHalfLife", _U16),
    "subnet_emission_enabled": ("SubnetEmissionEnabled", _BOOL),
    "transfers_enabled": ("TransferToggle", _BOOL),
    "owner_cut_enabled": ("OwnerCutEnabled", _BOOL),
    "owner_cut_auto_lock_enabled": ("OwnerCutAutoLockEnabled", _BOOL),
}


def hyperparameter_values(state: StateReader, netuid: int) -> dict[str, Any]:
    """Return the hyperparameters by their field names in structs of the runtime APIs."""
    alpha_low, alpha_high = value(state, "AlphaValues", netuid)
    return {
        **{name: value(state, item, netuid) for name, (item, _) in _ITEMS.items()},
        "max_weights_limit": MAX_WEIGHTS_LIMIT,
        "alpha_low": alpha_low,
        "alpha_high": alpha_high,
        "num_uids": value(state, "SubnetworkN", netuid),
        "max_uids": value(state, "MaxAllowedUids", netuid),
        "burn": value(state, "Burn", netuid),
        "pow_registration_allowed": value(state, "NetworkPowRegistrationAllowed", netuid),
    }


def hyperparameters_v2(state: StateReader, netuid: int) -> dict[str, Any] | None:
    """Return the result of `get_subnet_hyperparams` and `get_subnet_hyperparams_v2`."""
    if not subnet_exists(state, netuid):
        return None
    return {
        **hyperparameter_values(state, netuid),
        "alpha_sigmoid_steepness": _steepness(state, netuid),
        "yuma_version": 3 if value(state, "Yuma3On", netuid) else 2,
        "subnet_is_active": value(state, "SubtokenEnabled", netuid),
        "user_liquidity_enabled": False,
    }


def hyperparameters_v3(state: StateReader, netuid: int) -> list[dict[str, Any]] | None:
    """Return the result of `get_subnet_hyperparams_v3`: a list of named, typed values."""
    if not subnet_exists(state, netuid):
        return None
    alpha_low, alpha_high = value(state, "AlphaValues", netuid)
    entries: dict[str, dict[str, Any]] = {
        name: {kind: value(state, item, netuid)} for name, (item, kind) in _ITEMS.items()
    }
    entries["max_weights_limit"] = {_U16: MAX_WEIGHTS_LIMIT}
    entries["alpha_low"] = {_U16: alpha_low}
    entries["alpha_high"] = {_U16: alpha_high}
    entries["alpha_sigmoid_steepness"] = {"I32F32": _steepness(state, netuid)}
    entries["burn_increase_mult"] = {"U64F64": value(state, "BurnIncreaseMult", netuid)}
    entries["subnet_is_active"] = {_BOOL: value(state, "SubtokenEnabled", netuid)}
    entries["yuma_version"] = {_U16: 3 if value(state, "Yuma3On", netuid) else 2}
    return [{"name": name.encode(), "value": entry} for name, entry in entries.items()]


def _steepness(state: StateReader, netuid: int) -> dict[str, int]:
    return {"bits": value(state, "AlphaSigmoidSteepness", netuid) << 32}
