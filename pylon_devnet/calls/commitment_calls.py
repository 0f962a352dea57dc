"""`Commitments.set_commitment`: a few bytes that a hotkey publishes on a subnet.

As on the chain, commitments are limited by bytes per epoch, not by an interval.
"""

from pylon_devnet.calls.dispatch import CallHandler, DecodedCall, DispatchContext, ensure
from pylon_devnet.commitment_fields import (
    RESET_BONDS_FLAG,
    TIMELOCK_ENCRYPTED,
    TIMELOCK_REVEAL_FAILED,
    read_fields,
)
from pylon_devnet.subnet_state import uid_of, value

_PALLET = "Commitments"
_MIN_SPACE_BYTES = 100


def _set_commitment(dispatch: DispatchContext, call: DecodedCall) -> None:
    draft, who = dispatch.draft, dispatch.ensure_signed()
    netuid = call.arguments["netuid"]
    info = call.raw["info"]
    fields = read_fields(info)
    kinds = {field.kind for field in fields}
    ensure(uid_of(draft, netuid, who) is not None, "AccountNotAllowedCommit", _PALLET)
    allowed = TIMELOCK_REVEAL_FAILED not in kinds
    ensure(allowed, "TimelockRevealFailedNotAllowed", _PALLET)
    epoch = value(draft, "SubnetEpochIndex", netuid)
    usage = draft.get(_PALLET, "UsedSpaceOf", netuid, who)
    used = usage["used_space"] if usage and usage["last_epoch"] == epoch else 0
    used += max(_MIN_SPACE_BYTES, sum(len(field.data) for field in fields))
    ensure(used <= draft.get(_PALLET, "MaxSpace"), "SpaceLimitExceeded", _PALLET)
    usage = {"last_epoch": epoch, "used_space": used}
    draft.put(_PALLET, "UsedSpaceOf", netuid, who, usage)
    # The info is stored as signed: decoding and encoding would not restore its bytes.
    deposit, block = bytes(8), draft.number.to_bytes(4, "little")
    draft.put_raw(_PALLET, "CommitmentOf", (netuid, who), deposit + block + info)
    draft.put(_PALLET, "LastCommitment", netuid, who, draft.number)
    if RESET_BONDS_FLAG in kinds:
        draft.put(_PALLET, "LastBondsReset", netuid, who, draft.number)
    timelocked = [field for field in fields if field.kind == TIMELOCK_ENCRYPTED]
    indexed = [tuple(entry) for entry in draft.get(_PALLET, "TimelockedIndex")]
    index_entry = (netuid, who)
    if timelocked and index_entry not in indexed:
        draft.put(_PALLET, "TimelockedIndex", [*indexed, index_entry])
    elif not timelocked and index_entry in indexed:
        draft.put(_PALLET, "TimelockedIndex", [one for one in indexed if one != index_entry])
    event = {"netuid": netuid, "who": who}
    if timelocked:
        rounds = {"reveal_round": timelocked[0].reveal_round}
        dispatch.emit(_PALLET, "TimelockCommitment", {**event, **rounds})
    else:
        dispatch.emit(_PALLET, "Commitment", event)


HANDLERS: dict[str, CallHandler] = {"Commitments.set_commitment": _set_commitment}
