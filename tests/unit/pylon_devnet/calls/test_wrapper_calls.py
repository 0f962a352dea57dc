"""Batches and sudo: which inner calls take effect, and what is reported."""

from typing import Any

import pytest

from pylon_devnet.calls.dispatch import DecodedCall, DispatchContext, DispatchError
from pylon_devnet.calls.wrapper_calls import HANDLERS
from pylon_devnet.population import coldkey
from tests.support.chain.devnet_draft import new_draft

WHO = coldkey(1, 0)
DONE = ("Utility", "ItemCompleted", None)


class Batch:
    """Dispatches one-letter calls, of which `f` fails."""

    def __init__(self, signer: str | None = WHO) -> None:
        self.made: list[tuple[bytes, str | None]] = []
        self.context = DispatchContext(
            new_draft(), signer, self._dispatch, self._split, lambda error: f"encoded {error}"
        )

    def run(self, name: str, **raw: bytes) -> list[tuple[str, str, Any]]:
        pallet, _, function = name.partition(".")
        HANDLERS[name](self.context, DecodedCall(pallet, function, {}, raw))
        return self.context.events

    def _dispatch(self, _: DispatchContext, call: bytes, signer: str | None) -> None:
        if call == b"f":
            raise DispatchError("Wrong")
        self.made.append((call, signer))

    def _split(self, calls: bytes) -> list[bytes]:
        return [bytes([letter]) for letter in calls]


@pytest.mark.parametrize("name", ["batch", "batch_all", "force_batch"])
def test_the_calls_of_a_batch_have_its_signer(name: str) -> None:
    batch = Batch()
    events = batch.run(f"Utility.{name}", calls=b"ab")
    assert batch.made == [(b"a", WHO), (b"b", WHO)]
    assert events == [DONE, DONE, ("Utility", "BatchCompleted", None)]


def test_a_batch_ends_at_the_first_failure() -> None:
    batch = Batch()
    payload = {"index": 1, "error": "encoded SubtensorModule.Wrong"}
    events = batch.run("Utility.batch", calls=b"afb")
    assert events == [DONE, ("Utility", "BatchInterrupted", payload)]
    assert batch.made == [(b"a", WHO)]


def test_a_batch_of_all_or_nothing_fails_as_its_call_does() -> None:
    with pytest.raises(DispatchError, match="Wrong"):
        Batch().run("Utility.batch_all", calls=b"afb")


def test_a_forced_batch_goes_on_after_a_failure() -> None:
    batch = Batch()
    failed = ("Utility", "ItemFailed", {"error": "encoded SubtensorModule.Wrong"})
    completed = ("Utility", "BatchCompletedWithErrors", None)
    assert batch.run("Utility.force_batch", calls=b"afb") == [DONE, failed, DONE, completed]
    assert batch.made == [(b"a", WHO), (b"b", WHO)]


def test_sudo_makes_its_call_as_root() -> None:
    batch = Batch(new_draft().get("Sudo", "Key"))
    assert batch.run("Sudo.sudo", call=b"a") == [("Sudo", "Sudid", {"sudo_result": {"Ok": ()}})]
    assert batch.made == [(b"a", None)]


def test_sudo_succeeds_and_reports_the_failure_of_its_call() -> None:
    batch = Batch(new_draft().get("Sudo", "Key"))
    result = {"Err": "encoded SubtensorModule.Wrong"}
    assert batch.run("Sudo.sudo", call=b"f") == [("Sudo", "Sudid", {"sudo_result": result})]


def test_sudo_is_for_its_key_only() -> None:
    for signer in (WHO, None):
        batch = Batch(signer)
        with pytest.raises(DispatchError, match=r"Sudo\.RequireSudo"):
            batch.run("Sudo.sudo", call=b"a")
        assert batch.made == []
