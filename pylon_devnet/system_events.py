"""Entries of `System.Events`."""

from typing import Any

NO_WEIGHT = {"ref_time": 0, "proof_size": 0}


def event_record(
    extrinsic: int | None, pallet: str, name: str, payload: Any = None
) -> dict[str, Any]:
    """One event record.

    Args:
        extrinsic: index of the extrinsic that caused it, or None for the block itself.
        pallet: the pallet that tells it.
        name: the event.
        payload: its fields: a dict when they are named, a tuple when not, None when there are none.
    """
    phase: Any = "Initialization" if extrinsic is None else {"ApplyExtrinsic": extrinsic}
    event = {pallet: name if payload is None else {name: payload}}
    return {"phase": phase, "event": event, "topics": []}


def dispatch_info(class_: str, *, pays: bool) -> dict[str, Any]:
    """What success and failure events say about the cost of a call."""
    return {"weight": NO_WEIGHT, "class": class_, "pays_fee": "Yes" if pays else "No"}
