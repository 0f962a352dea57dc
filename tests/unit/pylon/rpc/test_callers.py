"""The caller of a request, and the reply subjects that it may name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.common.admission import OPEN_CALLER
from pylon.rpc.callers import caller_of, is_valid_reply_subject
from pylon_client.contract.subjects import READER_USER
from pylon_client.contract.types import IdentityName, NetUid

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), max_size=20)
TOKEN = st.text("abcXYZ019_$-", min_size=1, max_size=20)
INBOX = st.lists(TOKEN, min_size=1, max_size=3).map(".".join)
IDENTITIES = {IdentityName("alice"): NetUid(1)}


@given(reply=INBOX, operation=TEXT)
def test_replies_to_an_identity_go_to_its_inboxes_or_the_bridges_only(
    reply: str, operation: str
) -> None:
    subject = f"pylon.v1.identity.alice.{operation}"
    assert is_valid_reply_subject(subject, f"_INBOX.alice.{reply}")
    assert is_valid_reply_subject(subject, f"_INBOX.bridge.{reply}")
    for prefix in ("", "_INBOX.", "_INBOX.bob.", "_INBOX.ALICE.", "_INBOX.open.", "$JS.API."):
        assert not is_valid_reply_subject(subject, f"{prefix}{reply}") or reply.startswith(
            ("_INBOX.alice.", "_INBOX.bridge.", "alice.", "bridge.")
        )


@given(
    subject=TEXT.filter(lambda text: not text.startswith("pylon.v1.identity.")),
    inbox=INBOX,
    reply=TEXT,
)
def test_a_reply_subject_outside_of_inboxes_is_rejected(
    subject: str, inbox: str, reply: str
) -> None:
    assert is_valid_reply_subject(subject, f"_INBOX.{inbox}")
    assert not is_valid_reply_subject(subject, reply) or reply.startswith("_INBOX.")


@given(
    subject=st.sampled_from(
        [
            "pylon.v1.open.chain.x",
            "pylon.v1.open.1.neurons.latest",
            "pylon.v1.identity.alice.neurons.latest",
            "pylon.v1.identity.worker.neurons.latest",
            "$SRV.PING",
        ]
    ),
    inbox=INBOX,
)
def test_a_reply_subject_in_the_inbox_of_a_worker_is_rejected(subject: str, inbox: str) -> None:
    assert not is_valid_reply_subject(subject, "_INBOX.worker")
    assert not is_valid_reply_subject(subject, f"_INBOX.worker.{inbox}")
    assert is_valid_reply_subject(subject, f"_INBOX.bridge.{inbox}") or "worker" in subject


@pytest.mark.parametrize(
    "reply",
    [
        *("", "_INBOX", "_INBOX.", "_INBOX..x", "_INBOX.open.", "_INBOX.open..x"),
        *("_INBOX.>", "_INBOX.*.x", "_INBOX.open.é", "_INBOX.open.a b", "_INBOX.open.a\x0bb"),
        *("_INBOX.open.\ufffd", "_INBOX.open.x\n"),
    ],
)
def test_a_reply_subject_with_wildcards_or_empty_tokens_is_rejected(reply: str) -> None:
    assert not is_valid_reply_subject("pylon.v1.open.chain.block.latest", reply)


@pytest.mark.parametrize(
    ("reply", "is_valid"),
    [("_INBOX.reader.x", True), ("_INBOX.worker.x", False), ("_INBOX.open.x", False)],
)
def test_a_reply_to_a_replay_request_goes_to_a_reader_only(reply: str, *, is_valid: bool) -> None:
    assert is_valid_reply_subject("pylon.v1.replay.chain.events.block", reply) is is_valid


@pytest.mark.parametrize(
    ("subject", "caller"),
    [
        ("pylon.v1.identity.alice.weights.put", "alice"),
        ("pylon.v1.identity.bob.weights.put", OPEN_CALLER),
        ("pylon.v1.identity.alice", OPEN_CALLER),
        ("pylon.v1.open.1.neurons.latest", OPEN_CALLER),
        ("pylon.v1.replay.chain.events.block", READER_USER),
        ("", OPEN_CALLER),
    ],
)
def test_a_request_uses_the_share_of_a_configured_identity_or_of_open_access(
    subject: str, caller: str
) -> None:
    assert caller_of(subject, IDENTITIES) == caller
