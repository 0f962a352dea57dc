"""Event records, as the runtime's types encode them."""

from typing import Any

import pytest

from pylon_devnet.population import coldkey
from pylon_devnet.system_events import dispatch_info, event_record
from tests.support.chain.devnet_draft import new_draft

WHO = coldkey(1, 0)


@pytest.mark.parametrize(
    ("extrinsic", "event", "phase"),
    [
        (None, ("SubtensorModule", "WeightsSet", (1, 2)), "Initialization"),
        (0, ("System", "ExtrinsicSuccess", {"dispatch_info": dispatch_info("Normal", pays=True)}),
         "ApplyExtrinsic"),
        (3, ("Utility", "ItemCompleted", None), "ApplyExtrinsic"),
        (3, ("System", "Remarked", {"sender": WHO, "hash": bytes(32)}), "ApplyExtrinsic"),
    ],
)  # fmt: skip
def test_a_record_is_stored_and_read(
    extrinsic: int | None, event: tuple[str, str, Any], phase: str
) -> None:
    draft = new_draft()
    draft.put("System", "Events", [event_record(extrinsic, *event)])
    (found,) = draft.get("System", "Events")
    assert (found["module_id"], found["event_id"]) == event[:2]
    assert (found["phase"], found["extrinsic_idx"]) == (phase, extrinsic)


def test_an_extrinsic_pays_or_does_not() -> None:
    assert dispatch_info("Normal", pays=True)["pays_fee"] == "Yes"
    assert dispatch_info("Mandatory", pays=False)["pays_fee"] == "No"
