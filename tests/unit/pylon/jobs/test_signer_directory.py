"""Writes are accepted or rejected by the announcements of signers."""

import pytest

from pylon.jobs.signer_directory import (
    ALIVE_TIMEOUT_S,
    NO_SIGNER,
    SignerAnnouncement,
    SignerDirectory,
)
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import IdentityName
from tests.support.product.fake_signers import address
from tests.support.wire.wire_corpus import Corpus

ALICE, BOB = IdentityName("alice"), IdentityName("bob")
GRACE_S = 60.0
GARBAGE = 1_000
LINE_MAX_CHARS = 300
CAN = json_codec.encode(SignerAnnouncement(hotkey=address(1)))
CANNOT = json_codec.encode(
    SignerAnnouncement(
        problem="encrypted", cause="it is encrypted; set PYLON_ID_ALICE_HOTKEY_PASSWORD"
    )
)


class Directory(SignerDirectory):
    """A directory with a clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__([ALICE, BOB], GRACE_S, clock=lambda: self.now_s)

    def refusal(self, identity: IdentityName = ALICE) -> str:
        try:
            self.require_signer(identity)
        except FailureError as error:
            return error.failure.detail if error.code is ErrorCode.MISCONFIGURED else "?"
        return ""


def test_a_signer_that_announced_itself_accepts_writes() -> None:
    directory = Directory()
    directory.observe(ALICE, CAN)
    directory.now_s += ALIVE_TIMEOUT_S - 1
    assert (directory.refusal(), directory.unavailable_reason(ALICE)) == ("", "")
    assert set(directory.problem_codes()) == {BOB}


def test_writes_are_accepted_while_a_signer_restarts() -> None:
    directory = Directory()
    directory.observe(ALICE, CAN)
    directory.now_s += ALIVE_TIMEOUT_S + GRACE_S - 1
    assert directory.refusal() == ""
    assert "no signer" in directory.unavailable_reason(ALICE)
    directory.now_s += 2
    assert "PYLON_WORKER_ROLE=signer" in directory.refusal()
    assert directory.problem_codes()[ALICE] == NO_SIGNER


def test_a_worker_that_has_just_started_accepts_writes() -> None:
    directory = Directory()
    assert directory.refusal() == ""
    directory.now_s += GRACE_S
    assert directory.refusal() != ""


def test_an_unreadable_hotkey_rejects_writes_with_a_remedy() -> None:
    directory = Directory()
    directory.observe(ALICE, CANNOT)
    assert "PYLON_ID_ALICE_HOTKEY_PASSWORD" in directory.refusal()
    assert directory.problem_codes()[ALICE] == "encrypted"
    directory.observe(ALICE, CAN)
    assert directory.refusal() == ""


def test_the_cause_expires_with_the_announcements() -> None:
    directory = Directory()
    directory.now_s += 2 * GRACE_S
    directory.observe(ALICE, CANNOT)
    directory.now_s += ALIVE_TIMEOUT_S
    assert "PYLON_WORKER_ROLE=signer" in directory.refusal()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"hotkey": 5}', b'{"hotkey": ""}', b'{"problem": "x"}', b"\xff"]
)
def test_unreadable_announcements_are_ignored(body: bytes) -> None:
    directory = Directory()
    directory.now_s += 2 * GRACE_S
    directory.observe(ALICE, body)
    directory.observe(IdentityName("stranger"), CAN)
    assert directory.refusal() != ""
    assert directory.problem_codes()[ALICE] == NO_SIGNER


def test_an_announcement_of_a_later_version_is_read() -> None:
    directory = Directory()
    directory.now_s += 2 * GRACE_S
    directory.observe(ALICE, b'{"version": 2, "since": [1], %b' % CAN[1:])
    assert directory.refusal() == ""


@pytest.mark.fuzz
def test_unreadable_announcements_are_ignored_and_logged_once_per_identity(
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = Corpus(1, 200)
    directory = Directory()
    directory.now_s += 2 * GRACE_S
    for number in range(GARBAGE):
        name = corpus.random.choice([ALICE, BOB, IdentityName(f"stranger{number}")])
        body = corpus.announcement()
        try:
            can_sign = SignerAnnouncement.model_validate_json(body).hotkey is not None
        except ValueError:
            can_sign = False
        directory.observe(name, body)
        if name in {ALICE, BOB}:
            assert (directory.unavailable_reason(name) == "") is can_sign
            assert (directory.refusal(name) == "") is can_sign
        else:
            assert set(directory.problem_codes()) <= {ALICE, BOB}
        directory.now_s += 2 * GRACE_S
    assert len(caplog.records) == 2
    assert all(len(record.getMessage()) < LINE_MAX_CHARS for record in caplog.records)
