"""`Commitments.set_commitment`: a few bytes that a hotkey publishes on a subnet.

As on the chain there is no pause between commitments, but a budget of bytes per epoch.
"""

from typing import Any

from pylon.devnet.calls.dispatch import Call, Dispatch, Handler, ensure
from pylon.devnet.subnet import uid_of, value

_PALLET = "Commitments"
_FIELDS_LIMIT = 3
_LEAST_SPACE_BYTES = 100


def _set_commitment(dispatch: Dispatch, call: Call) -> None:
    draft, who = dispatch.draft, dispatch.ensure_signed()
    netuid = call.arguments["netuid"]
    fields: list[Any] = call.arguments["info"]["fields"]
    ensure(uid_of(draft, netuid, who) is not None, "AccountNotAllowedCommit", _PALLET)
    ensure(len(fields) <= _FIELDS_LIMIT, "TooManyFieldsInCommitmentInfo", _PALLET)
    info = call.raw["info"]
    epoch = value(draft, "SubnetEpochIndex", netuid)
    usage = draft.get(_PALLET, "UsedSpaceOf", netuid, who)
    used = usage["used_space"] if usage and usage["last_epoch"] == epoch else 0
    used += max(_LEAST_SPACE_BYTES, len(info))
    ensure(used <= draft.get(_PALLET, "MaxSpace"), "SpaceLimitExceeded", _PALLET)
    usage = {"last_epoch": epoch, "used_space": used}
    draft.put(_PALLET, "UsedSpaceOf", netuid, who, usage)
    # The info is kept as it was signed: decoded bytes would not survive the way back.
    deposit, block = bytes(8), draft.number.to_bytes(4, "little")
    draft.put_raw(_PALLET, "CommitmentOf", (netuid, who), deposit + block + info)
    draft.put(_PALLET, "LastCommitment", netuid, who, draft.number)
    if "ResetBondsFlag" in fields:
        draft.put(_PALLET, "LastBondsReset", netuid, who, draft.number)
    sealed = [one["TimelockEncrypted"] for one in fields if _is_sealed(one)]
    indexed = [tuple(entry) for entry in draft.get(_PALLET, "TimelockedIndex")]
    mark = (netuid, who)
    if sealed and mark not in indexed:
        draft.put(_PALLET, "TimelockedIndex", [*indexed, mark])
    elif not sealed and mark in indexed:
        draft.put(_PALLET, "TimelockedIndex", [one for one in indexed if one != mark])
    told = {"netuid": netuid, "who": who}
    if sealed:
        rounds = {"reveal_round": sealed[0]["reveal_round"]}
        dispatch.emit(_PALLET, "TimelockCommitment", {**told, **rounds})
    else:
        dispatch.emit(_PALLET, "Commitment", told)


def _is_sealed(field: Any) -> bool:
    return isinstance(field, dict) and "TimelockEncrypted" in field


HANDLERS: dict[str, Handler] = {"Commitments.set_commitment": _set_commitment}
