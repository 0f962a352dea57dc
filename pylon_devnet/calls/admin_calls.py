"""Setting hyperparameters: by root, and those of one subnet also by its owner."""

from pylon_devnet.calls.dispatch import Call, Dispatch, Handler, bad_origin, ensure
from pylon_devnet.epoch_run import begin_epoch_cycle
from pylon_devnet.subnet_state import SUBTENSOR, exists, value

_PALLET = "AdminUtils"

_OF_SUBNET = {
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
_OF_CHAIN = {
    "sudo_set_stake_threshold": "StakeThreshold",
    "sudo_set_tx_rate_limit": "TxRateLimit",
    "sudo_set_commit_reveal_version": "CommitRevealWeightsVersion",
    "sudo_set_subnet_owner_cut": "SubnetOwnerCut",
    "sudo_set_network_rate_limit": "NetworkRateLimit",
    "sudo_set_admin_freeze_window": "AdminFreezeWindow",
}
HYPERPARAMETERS: frozenset[str] = frozenset(_OF_SUBNET.values())
"""The storage items of subnets that can be set."""


def _set_of_subnet(dispatch: Dispatch, call: Call) -> None:
    netuid, setting = call.arguments.values()
    draft = dispatch.draft
    ensure(exists(draft, netuid), "SubnetDoesNotExist", _PALLET)
    if dispatch.signer not in {None, value(draft, "SubnetOwner", netuid)}:
        raise bad_origin()
    draft.put(SUBTENSOR, _OF_SUBNET[call.function], netuid, setting)
    if call.function == "sudo_set_tempo":
        begin_epoch_cycle(draft, netuid)


def _set_of_chain(dispatch: Dispatch, call: Call) -> None:
    dispatch.ensure_root()
    (setting,) = call.arguments.values()
    dispatch.draft.put(SUBTENSOR, _OF_CHAIN[call.function], setting)


def _set_max_space(dispatch: Dispatch, call: Call) -> None:
    dispatch.ensure_root()
    dispatch.draft.put("Commitments", "MaxSpace", call.arguments["new_limit"])


HANDLERS: dict[str, Handler] = {
    **{f"{_PALLET}.{function}": _set_of_subnet for function in _OF_SUBNET},
    **{f"{_PALLET}.{function}": _set_of_chain for function in _OF_CHAIN},
    "Commitments.set_max_space": _set_max_space,
}
