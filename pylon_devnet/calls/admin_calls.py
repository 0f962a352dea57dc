"""Calls that set hyperparameters: by root, and by the owner of a subnet for that subnet."""

from pylon_devnet.calls.dispatch import (
    CallHandler,
    DecodedCall,
    DispatchContext,
    bad_origin,
    ensure,
)
from pylon_devnet.epoch_run import restart_epoch_schedule
from pylon_devnet.subnet_state import SUBTENSOR, subnet_exists, value

_PALLET = "AdminUtils"

_SUBNET_ITEMS = {
    "sudo_set_serving_rate_limit": "ServingRateLimit",
    "sudo_set_min_difficulty": "MinDifficulty",
    "sudo_set_max_difficulty": "MaxDifficulty",
    "sudo_set_difficulty": "Difficulty",
    "sudo_set_weights_version_key": "WeightsVersionKey",
    "sudo_set_weights_set_rate_limit": "WeightsSetRateLimit",
    "sudo_set_adjustment_interval": "AdjustmentInterval",
    "sudo_set_adjustment_alpha": "AdjustmentAlpha",
    "sudo_set_immunity_period": "ImmunityPeriod",
    "sudo_set_min_allowed_weights": "MinAllowedWeights",
    "sudo_set_max_allowed_uids": "MaxAllowedUids",
    "sudo_set_kappa": "Kappa",
    "sudo_set_rho": "Rho",
    "sudo_set_activity_cutoff": "ActivityCutoff",
    "sudo_set_network_registration_allowed": "NetworkRegistrationAllowed",
    "sudo_set_network_pow_registration_allowed": "NetworkPowRegistrationAllowed",
    "sudo_set_target_registrations_per_interval": "TargetRegistrationsPerInterval",
    "sudo_set_min_burn": "MinBurn",
    "sudo_set_max_burn": "MaxBurn",
    "sudo_set_max_allowed_validators": "MaxAllowedValidators",
    "sudo_set_bonds_moving_average": "BondsMovingAverage",
    "sudo_set_bonds_penalty": "BondsPenalty",
    "sudo_set_bonds_reset_enabled": "BondsResetOn",
    "sudo_set_max_registrations_per_block": "MaxRegistrationsPerBlock",
    "sudo_set_tempo": "Tempo",
    "sudo_set_commit_reveal_weights_enabled": "CommitRevealWeightsEnabled",
    "sudo_set_commit_reveal_weights_interval": "RevealPeriodEpochs",
    "sudo_set_liquid_alpha_enabled": "LiquidAlphaOn",
    "sudo_set_yuma3_enabled": "Yuma3On",
    "sudo_set_toggle_transfer": "TransferToggle",
    "sudo_set_mechanism_count": "MechanismCountCurrent",
    "sudo_set_sn_owner_hotkey": "SubnetOwnerHotkey",
    "sudo_set_subnet_emission_enabled": "SubnetEmissionEnabled",
}
_CHAIN_ITEMS = {
    "sudo_set_stake_threshold": "StakeThreshold",
    "sudo_set_tx_rate_limit": "TxRateLimit",
    "sudo_set_commit_reveal_version": "CommitRevealWeightsVersion",
    "sudo_set_subnet_owner_cut": "SubnetOwnerCut",
    "sudo_set_network_rate_limit": "NetworkRateLimit",
    "sudo_set_admin_freeze_window": "AdminFreezeWindow",
}
HYPERPARAMETERS: frozenset[str] = frozenset(_SUBNET_ITEMS.values())
"""Storage items of subnets that can be set."""


def _set_subnet_item(dispatch: DispatchContext, call: DecodedCall) -> None:
    netuid, setting = call.arguments.values()
    draft = dispatch.draft
    ensure(subnet_exists(draft, netuid), "SubnetDoesNotExist", _PALLET)
    if dispatch.signer not in {None, value(draft, "SubnetOwner", netuid)}:
        raise bad_origin()
    draft.put(SUBTENSOR, _SUBNET_ITEMS[call.function], netuid, setting)
    if call.function == "sudo_set_tempo":
        restart_epoch_schedule(draft, netuid)


def _set_chain_item(dispatch: DispatchContext, call: DecodedCall) -> None:
    dispatch.ensure_root()
    (setting,) = call.arguments.values()
    dispatch.draft.put(SUBTENSOR, _CHAIN_ITEMS[call.function], setting)


def _set_max_space(dispatch: DispatchContext, call: DecodedCall) -> None:
    dispatch.ensure_root()
    dispatch.draft.put("Commitments", "MaxSpace", call.arguments["new_limit"])


HANDLERS: dict[str, CallHandler] = {
    **{f"{_PALLET}.{function}": _set_subnet_item for function in _SUBNET_ITEMS},
    **{f"{_PALLET}.{function}": _set_chain_item for function in _CHAIN_ITEMS},
    "Commitments.set_max_space": _set_max_space,
}
