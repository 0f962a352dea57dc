"""Reveals of timelocked commitments, by a signature or by a plaintext."""

from typing import Any

import pytest

from pylon_devnet import commitment_reveals
from pylon_devnet.chain_state import Draft
from pylon_devnet.commitment_reveals import TimelockedCommitments, store_pulse
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_draft import new_draft
from tests.support.chain.timelock import ROUND_1000, envelope, scale_text, timelocked

WHO = hotkey(1, 0)
SIGNATURE = bytes.fromhex(ROUND_1000.removeprefix("0x"))
OLD_SPEC, NEW_SPEC = 424, 446
TEXT = scale_text("hello")


def committed(*encrypted: bytes, drand_round: int = 1000, block: int = 20) -> Draft:
    """Return a state with a commitment of these timelocked fields and a plain one."""
    draft = new_draft(block)
    fields: list[dict[str, Any]] = [
        {"TimelockEncrypted": {"encrypted": data, "reveal_round": drand_round}}
        for data in encrypted
    ]
    info = {"fields": [*fields, {"Raw1": b"p"}]}
    draft.put("Commitments", "CommitmentOf", 1, WHO, {"deposit": 0, "block": 10, "info": info})
    draft.put("Commitments", "TimelockedIndex", [(1, WHO)])
    draft.put("Drand", "OldestStoredRound", 900)
    draft.put("Drand", "LastStoredRound", 1000)
    return draft


def kinds(draft: Draft) -> list[str]:
    stored = draft.get("Commitments", "CommitmentOf", 1, WHO)
    return [next(iter(one)) for one in stored["info"]["fields"]] if stored else []


def index(draft: Draft) -> list[tuple[int, str]]:
    return [tuple(one) for one in draft.get("Commitments", "TimelockedIndex")]


def reveal(draft: Draft, spec: int = NEW_SPEC) -> list[str]:
    """Reveal what is due; return the names of the events, with the reason of a failure."""
    events = TimelockedCommitments(spec).reveal_due(draft)
    assert {pallet for pallet, _, _ in events} <= {"Commitments"}
    return [f"{name} {payload.get('error', '')}".strip() for _, name, payload in events]  # type: ignore[attr-defined]


def test_a_signature_of_the_round_reveals_the_field() -> None:
    draft = committed(timelocked(TEXT))
    store_pulse(draft, 1000, SIGNATURE)
    assert reveal(draft) == ["CommitmentRevealed"]
    assert kinds(draft) == ["Raw1"]
    assert index(draft) == []
    stored = draft.get_raw("Commitments", "RevealedCommitments", 1, WHO)
    assert stored == bytes([4, len(TEXT) << 2]) + TEXT + (20).to_bytes(8, "little")


def test_a_commitment_without_other_fields_is_deleted() -> None:
    draft = committed(timelocked(TEXT))
    info = draft.get_raw("Commitments", "CommitmentOf", 1, WHO)
    assert info is not None
    alone = info[:12] + b"\x04" + info[13:-2]
    draft.put_raw("Commitments", "CommitmentOf", (1, WHO), alone)
    store_pulse(draft, 1000, SIGNATURE)
    assert reveal(draft) == ["CommitmentRevealed"]
    assert draft.get_raw("Commitments", "CommitmentOf", 1, WHO) is None


def test_a_commitment_of_a_future_round_is_pending() -> None:
    draft = committed(timelocked(TEXT), drand_round=1001)
    changes = dict(draft.changes)
    assert reveal(draft) == []
    assert draft.changes == changes
    assert index(draft) == [(1, WHO)]


@pytest.mark.parametrize(
    ("encrypted", "drand_round", "has_pulse", "reason"),
    [
        (b"no ciphertext", 1000, False, "CiphertextDeserialize"),
        (b"no ciphertext", 1000, True, "CiphertextDeserialize"),
        (timelocked(TEXT, 999), 999, True, "Decrypt"),
        (timelocked(b""), 1000, True, "EmptyPlaintext"),
        (timelocked(TEXT), 899, False, "PulseExpired"),
    ],
)
def test_what_cannot_be_decrypted_fails_once(
    encrypted: bytes, drand_round: int, *, has_pulse: bool, reason: str
) -> None:
    for spec in (NEW_SPEC, OLD_SPEC):
        draft = committed(encrypted, drand_round=drand_round)
        if has_pulse:
            store_pulse(draft, drand_round, SIGNATURE)
        is_stored = spec == NEW_SPEC
        if not is_stored and reason == "PulseExpired":
            continue  # older runtimes keep every pulse
        assert reveal(draft, spec) == ([f"CommitmentRevealFailed {reason}"] if is_stored else [])
        assert kinds(draft) == (["TimelockRevealFailed", "Raw1"] if is_stored else ["Raw1"])
        assert index(draft) == []


def test_a_past_round_without_a_pulse_is_decided_by_its_data() -> None:
    draft = committed(timelocked(TEXT), b"no ciphertext")
    assert reveal(draft) == ["CommitmentRevealFailed CiphertextDeserialize"]
    assert kinds(draft) == ["TimelockEncrypted", "TimelockRevealFailed", "Raw1"]
    assert index(draft) == [(1, WHO)]


def test_the_portable_envelope_is_opened_by_newer_runtimes() -> None:
    draft = committed(envelope(TEXT))
    store_pulse(draft, 1000, SIGNATURE)
    assert reveal(draft) == ["CommitmentRevealed"]
    draft = committed(envelope(TEXT))
    store_pulse(draft, 1000, SIGNATURE)
    assert reveal(draft, OLD_SPEC) == []
    assert kinds(draft) == ["Raw1"]


def test_a_plaintext_reveals_once_without_a_signature() -> None:
    draft = committed(timelocked(TEXT), drand_round=5000)
    commitments = TimelockedCommitments(NEW_SPEC)
    commitments.set_plaintext(draft, 1, WHO, "hello")  # type: ignore[arg-type]
    assert [name for _, name, _ in commitments.reveal_due(draft)] == ["CommitmentRevealed"]
    again = committed(timelocked(TEXT), drand_round=5000)
    assert commitments.reveal_due(again) == []


def test_a_plaintext_has_the_size_of_the_timelocked_text() -> None:
    draft = committed(timelocked(TEXT), drand_round=5000)
    commitments = TimelockedCommitments(NEW_SPEC)
    with pytest.raises(ValueError, match="bytes long"):
        commitments.set_plaintext(draft, 1, WHO, "longer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no timelocked commitment on subnet 2"):
        commitments.set_plaintext(draft, 2, WHO, "hello")  # type: ignore[arg-type]
    assert commitments.reveal_due(draft) == []


def test_the_newest_reveals_are_stored_with_their_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commitment_reveals, "MAX_REVEALS", 2)
    draft = committed()
    for block in range(4):
        later = committed(timelocked(scale_text(str(block))), block=block)
        before = draft.get_raw("Commitments", "RevealedCommitments", 1, WHO)
        if before is not None:
            later.put_raw("Commitments", "RevealedCommitments", (1, WHO), before)
        store_pulse(later, 1000, SIGNATURE)
        assert reveal(later) == ["CommitmentRevealed"]
        draft = later
    stored = draft.get("Commitments", "RevealedCommitments", 1, WHO)
    assert [block for _, block in stored] == [2, 3]


def test_a_commitment_that_was_replaced_leaves_the_index() -> None:
    draft = committed()
    assert reveal(draft) == []
    assert index(draft) == []
    draft = committed(timelocked(TEXT))
    draft.delete("Commitments", "CommitmentOf", 1, WHO)
    assert reveal(draft) == []
    assert index(draft) == []
