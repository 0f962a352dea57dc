"""Origins and errors of calls."""

import pytest

from pylon_devnet.calls.dispatch import DispatchError, ensure
from pylon_devnet.population import coldkey
from tests.support.chain.devnet_draft import decoded_call, dispatch_context, new_draft

WHO = coldkey(1, 0)


def test_a_call_has_the_name_and_the_bytes_of_its_arguments() -> None:
    call = decoded_call("AdminUtils", "sudo_set_tempo", netuid=1, tempo=258)
    assert call.name == "AdminUtils.sudo_set_tempo"
    assert call.arguments == {"netuid": 1, "tempo": 258}
    assert call.raw == {"netuid": b"\x01\x00", "tempo": b"\x02\x01"}


def test_the_origin_is_a_signer_or_root() -> None:
    signed, root = (dispatch_context(new_draft(), who) for who in (WHO, None))
    assert signed.ensure_signed() == WHO
    root.ensure_root()
    for check in (signed.ensure_root, root.ensure_signed):
        with pytest.raises(DispatchError) as refused:
            check()
        assert (refused.value.name, refused.value.pallet) == ("BadOrigin", None)


def test_an_error_is_named_with_its_pallet() -> None:
    ensure(1, "Wrong")
    with pytest.raises(DispatchError, match=r"^SubtensorModule\.Wrong$"):
        ensure(0, "Wrong")
    with pytest.raises(DispatchError, match=r"^Sudo\.RequireSudo$"):
        ensure((), "RequireSudo", "Sudo")
    assert str(DispatchError("Token", None, "BelowMinimum")) == "Token"


def test_events_are_kept_in_order() -> None:
    context = dispatch_context(new_draft(), WHO)
    context.emit("Utility", "ItemCompleted")
    context.emit("System", "Remarked", {"sender": WHO})
    assert context.events == [
        ("Utility", "ItemCompleted", None),
        ("System", "Remarked", {"sender": WHO}),
    ]
