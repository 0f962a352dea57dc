"""Entries of `System.Events`."""

from typing import Any

NO_WEIGHT = {"ref_time": 0, "proof_size": 0}


def event_record(
    extrinsic: int | None, pallet: str, name: str, payload: Any = None
) -> dict[str, Any]:
    """Return an event record.

    Args:
        extrinsic: index of the extrinsic; None for the initialization of the block.
        pallet: pallet of the event.
        name: name of the event.
        payload: fields of the event: a dict if named, a tuple if unnamed, None without fields.
    """
    phase: Any = "Initialization" if extrinsic is None else {"ApplyExtrinsic": extrinsic}
    event = {pallet: name if payload is None else {name: payload}}
    return {"phase": phase, "event": event, "topics": []}


def dispatch_info(class_: str, *, pays: bool) -> dict[str, Any]:
    """Return the dispatch info of success and failure events."""
    return {"weight": NO_WEIGHT, "class": class_, "pays_fee": "Yes" if pays else "No"}
