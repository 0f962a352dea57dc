"""Messages of a stream, with JetStream's replies by a script."""

import base64
import json
from typing import Any

import nats.errors
import nats.js.errors
import pytest

from pylon.jetstream.stream_client import (
    SequenceConflictError,
    StreamClient,
    StreamMessage,
    describe_stream_error,
)
from pylon.jetstream.write_health import NotAcknowledgedError
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.nats.jetstream_api import (
    CONFLICT,
    NO_LEADER,
    NO_MESSAGE_FOUND,
    STREAM_MISSING,
    Answer,
    ApiNats,
    connection_of,
    message_of,
)

STREAM, SUBJECT = "PYLON_EVENTS", "pylon.v1.event"
ACK = {"stream": STREAM, "seq": 7}
STORED_AT = "2026-01-01T00:00:00Z"


def client_of(answer: Answer) -> tuple[StreamClient, ApiNats]:
    connection = connection_of(answer)
    assert isinstance(connection.nats, ApiNats)
    return StreamClient(connection, STREAM, "The event stream"), connection.nats


def from_leader(body: bytes = b"body", **headers: str) -> dict[str, Any]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    encoded = f"NATS/1.0\r\n{lines}\r\n".encode()
    return {
        "message": {
            "subject": SUBJECT,
            "seq": 7,
            "data": base64.b64encode(body).decode(),
            "hdrs": base64.b64encode(encoded).decode(),
            "time": STORED_AT,
        }
    }


def from_replica(**headers: str) -> Any:
    known = {"Nats_Subject": SUBJECT, "Nats_Sequence": "7", "Nats_Time_Stamp": STORED_AT}
    return message_of(b"body", **known | {"Nats_Stream": STREAM} | headers)


def by_kind(replica: Any, leader: Any) -> Answer:
    return lambda subject, _: replica if ".DIRECT." in subject else leader


async def failure_of(answer: Answer) -> FailureError:
    client, _ = client_of(answer)
    with pytest.raises(FailureError) as caught:
        await client.get(SUBJECT, None)
    return caught.value


async def test_a_message_is_published_with_the_expected_sequence() -> None:
    client, nats_ = client_of(lambda *_: ACK)
    assert await client.publish(SUBJECT, b"x", {"A": "b"}) == 7
    assert await client.publish(SUBJECT, b"x", {"A": "b"}, expected_sequence=0) == 7
    expected = "Nats-Expected-Last-Subject-Sequence"
    assert [one.get(expected) for one in nats_.headers] == [None, "0"]
    assert [one["A"] for one in nats_.headers] == ["b", "b"]


async def test_another_last_sequence_is_a_conflict() -> None:
    client, _ = client_of(lambda *_: CONFLICT)
    with pytest.raises(SequenceConflictError, match="wrong last sequence: 7"):
        await client.publish(SUBJECT, b"x", {}, expected_sequence=5)


@pytest.mark.parametrize("reply", [NO_LEADER, {"stream": "OTHER", "seq": 1}, b"{", {"seq": 0}])
async def test_a_message_without_a_valid_acknowledgement_is_an_error(reply: Any) -> None:
    client, _ = client_of(lambda *_: reply)
    with pytest.raises(nats.errors.Error):
        await client.publish(SUBJECT, b"x", {})


async def test_a_replica_answers_with_message_and_time() -> None:
    client, nats_ = client_of(by_kind(from_replica(A="b"), AssertionError()))
    found = await client.get(SUBJECT, None)
    assert found is not None
    assert (found.sequence, found.subject, found.body) == (7, SUBJECT, b"body")
    assert found.headers["A"] == "b"
    assert found.stored_at is not None
    assert found.stored_at.year == 2026
    assert all(".DIRECT." in subject for subject in nats_.subjects)


@pytest.mark.parametrize(
    "replica",
    [
        message_of(b"", Status="404", Description="Message Not Found"),
        from_replica(Nats_Sequence="hidden"),
        from_replica(Nats_Sequence="0"),
    ],
)
async def test_the_leader_decides_where_a_replica_is_unclear(replica: Any) -> None:
    client, nats_ = client_of(by_kind(replica, from_leader(A="b")))
    found = await client.get(SUBJECT, 7)
    assert found is not None
    assert found == StreamMessage(7, SUBJECT, {"A": "b"}, b"body", found.stored_at)
    assert [".DIRECT." in subject for subject in nats_.subjects] == [True, False]
    absent, _ = client_of(by_kind(replica, NO_MESSAGE_FOUND))
    assert await absent.get(SUBJECT, 7) is None


async def test_the_leader_alone_is_asked_for_the_newest_state() -> None:
    bodies: list[Any] = []

    def answer(subject: str, body: bytes) -> Any:
        bodies.append((".DIRECT." in subject, json.loads(body)))
        return from_leader()

    client, _ = client_of(answer)
    assert await client.get(SUBJECT, 5, direct=False, next_=True) is not None
    assert bodies == [(False, {"seq": 5, "next_by_subj": SUBJECT})]


async def test_a_missing_stream_is_unavailable() -> None:
    error = await failure_of(by_kind(nats.errors.NoRespondersError(), STREAM_MISSING))
    assert error.code is ErrorCode.NATS_UNAVAILABLE
    error = await failure_of(lambda *_: STREAM_MISSING)
    assert error.failure.detail == "The event stream does not exist."


@pytest.mark.parametrize(
    ("fault", "name"),
    [(nats.errors.TimeoutError(), "TimeoutError"), (ConnectionError("x"), "ConnectionError")],
)
async def test_a_stream_that_does_not_answer_is_unavailable(fault: Exception, name: str) -> None:
    error = await failure_of(lambda *_: fault)
    assert error.code is ErrorCode.NATS_UNAVAILABLE
    assert error.failure.detail == f"The event stream does not answer: {name}."


async def test_subjects_are_listed_and_a_missing_stream_has_none() -> None:
    info = {"config": {"name": STREAM}, "created": STORED_AT}
    state = {"messages": 1, "bytes": 1, "first_seq": 1, "last_seq": 1, "consumer_count": 0}
    listed = {**info, "state": {**state, "subjects": {"a.b": 1, "a.c": 2}}}
    client, _ = client_of(lambda *_: listed)
    assert sorted(await client.subjects("a.>")) == ["a.b", "a.c"]
    client, _ = client_of(lambda *_: {**info, "state": state})
    assert await client.subjects("a.>") == []
    client, _ = client_of(lambda *_: STREAM_MISSING)
    assert await client.subjects("a.>") == []
    for fault in (nats.errors.TimeoutError(), b"{"):
        client, _ = client_of(lambda *_, fault=fault: fault)
        with pytest.raises(FailureError) as caught:
            await client.subjects("a.>")
        assert caught.value.code is ErrorCode.NATS_UNAVAILABLE


def test_a_reason_is_the_servers_or_the_errors_name() -> None:
    refused = nats.js.errors.APIError(code=400, err_code=10054, description="too large")
    assert describe_stream_error(refused) == "too large (error 10054)"
    assert describe_stream_error(nats.js.errors.APIError(code=400)) == "APIError"
    assert describe_stream_error(SequenceConflictError("another")) == "another"
    assert "acknowledges no write" in describe_stream_error(NotAcknowledgedError())
    assert describe_stream_error(ConnectionError("secret")) == "ConnectionError"
