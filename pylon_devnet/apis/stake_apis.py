"""`StakeInfoRuntimeApi` and `DelegateInfoRuntimeApi`: only the owner stakes to a hotkey."""

from collections.abc import Callable
from typing import Any

from pylon_devnet.chain_state import StateReader
from pylon_devnet.subnet_state import SUBTENSOR, U16_MAX, alpha_stake, netuids, uid_of, value


def _stakes_of_coldkey(state: StateReader, coldkey: str) -> list[dict[str, Any]]:
    stakes = [
        _stake(state, hotkey, coldkey, netuid)
        for hotkey in value(state, "StakingHotkeys", coldkey)
        for netuid in netuids(state)
    ]
    return [stake for stake in stakes if stake["stake"]]


def _stakes_of_coldkeys(
    state: StateReader, coldkeys: list[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(coldkey, _stakes_of_coldkey(state, coldkey)) for coldkey in coldkeys]


def _stake_on_subnet(state: StateReader, hotkey: str, coldkey: str, netuid: int) -> dict[str, Any]:
    return _stake(state, hotkey, coldkey, netuid)


def _stake(state: StateReader, hotkey: str, coldkey: str, netuid: int) -> dict[str, Any]:
    is_owner = value(state, "Owner", hotkey) == coldkey
    uid = uid_of(state, netuid, hotkey)
    emissions: list[int] = value(state, "Emission", netuid)
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "netuid": netuid,
        "stake": alpha_stake(state, netuid, hotkey) if is_owner else 0,
        "locked": 0,
        "emission": emissions[uid] if uid is not None and uid < len(emissions) else 0,
        "tao_emission": 0,
        "drain": 0,
        "is_registered": uid is not None,
    }


def _availability(
    state: StateReader, coldkeys: list[str], chosen: list[int] | None
) -> dict[str, dict[int, dict[str, int]]]:
    answer: dict[str, dict[int, dict[str, int]]] = {}
    for coldkey in sorted(coldkeys):
        totals: dict[int, int] = {}
        for stake in _stakes_of_coldkey(state, coldkey):
            if chosen is None or stake["netuid"] in chosen:
                totals[stake["netuid"]] = totals.get(stake["netuid"], 0) + stake["stake"]
        answer[coldkey] = {
            netuid: {"total": total, "locked": 0, "available": total}
            for netuid, total in sorted(totals.items())
        }
    return answer


def _no_fee(_state: StateReader, *_arguments: Any) -> int:
    return 0


def _nothing(_state: StateReader, *_arguments: Any) -> None:
    return None


def _no_conviction(_state: StateReader, *_arguments: Any) -> dict[str, int]:
    return {"bits": 0}


def _delegates(state: StateReader) -> list[dict[str, Any]]:
    return [_delegate_info(state, params[0]) for params, _ in state.entries(SUBTENSOR, "Delegates")]


def _delegate(state: StateReader, hotkey: str) -> dict[str, Any] | None:
    known = any(params == [hotkey] for params, _ in state.entries(SUBTENSOR, "Delegates", hotkey))
    return _delegate_info(state, hotkey) if known else None


def _delegate_info(state: StateReader, hotkey: str) -> dict[str, Any]:
    owner = value(state, "Owner", hotkey)
    registrations = [
        netuid for netuid in netuids(state) if uid_of(state, netuid, hotkey) is not None
    ]
    staked = [(netuid, alpha_stake(state, netuid, hotkey)) for netuid in netuids(state)]
    return {
        "delegate_ss58": hotkey,
        "take": min(U16_MAX, value(state, "Delegates", hotkey)),
        "nominators": [(owner, [(netuid, rao) for netuid, rao in staked if rao])],
        "owner_ss58": owner,
        "registrations": registrations,
        "validator_permits": [
            netuid for netuid in registrations if _has_permit(state, netuid, hotkey)
        ],
        "return_per_1000": 0,
        "total_daily_return": 0,
    }


def _has_permit(state: StateReader, netuid: int, hotkey: str) -> bool:
    uid = uid_of(state, netuid, hotkey)
    permits: list[bool] = value(state, "ValidatorPermit", netuid)
    return uid is not None and uid < len(permits) and permits[uid]


def _delegated(state: StateReader, coldkey: str) -> list[tuple[dict[str, Any], tuple[int, int]]]:
    return [
        (_delegate_info(state, stake["hotkey"]), (stake["netuid"], stake["stake"]))
        for stake in _stakes_of_coldkey(state, coldkey)
    ]


API_METHODS: dict[str, Callable[..., Any]] = {
    "StakeInfoRuntimeApi_get_stake_info_for_coldkey": _stakes_of_coldkey,
    "StakeInfoRuntimeApi_get_stake_info_for_coldkeys": _stakes_of_coldkeys,
    "StakeInfoRuntimeApi_get_stake_info_for_hotkey_coldkey_netuid": _stake_on_subnet,
    "StakeInfoRuntimeApi_get_stake_availability_for_coldkeys": _availability,
    "StakeInfoRuntimeApi_get_stake_fee": _no_fee,
    "StakeInfoRuntimeApi_get_coldkey_lock": _nothing,
    "StakeInfoRuntimeApi_get_hotkey_conviction": _no_conviction,
    "StakeInfoRuntimeApi_get_most_convicted_hotkey_on_subnet": _nothing,
    "DelegateInfoRuntimeApi_get_delegates": _delegates,
    "DelegateInfoRuntimeApi_get_delegate": _delegate,
    "DelegateInfoRuntimeApi_get_delegated": _delegated,
}
