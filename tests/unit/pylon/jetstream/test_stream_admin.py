"""Requests of operators' commands, with JetStream's replies by a script."""

import time
from datetime import UTC, datetime
from typing import Any

import nats.errors
import pytest

from pylon.jetstream.stream_admin import (
    JetStreamRequestError,
    purge,
    server_clock_offset_s,
    write_probe,
)
from tests.support.nats.jetstream_api import (
    NO_LEADER,
    STREAM_MISSING,
    ApiNats,
    api_error,
    connection_of,
)

UNREADABLE: tuple[Any, ...] = (b"", b"{", b"[" * 100_000, b"7", b"[]", b"\xff")
STREAM = "PYLON_EVENTS"


def answered(reply: Any) -> Any:
    return connection_of(lambda *_: reply)


async def test_a_stream_is_purged() -> None:
    connection = answered({"success": True, "purged": 3})
    await purge(connection, STREAM)
    assert isinstance(connection.nats, ApiNats)
    assert connection.nats.subjects == [f"$JS.API.STREAM.PURGE.{STREAM}"]


@pytest.mark.parametrize(
    "reply", [STREAM_MISSING, NO_LEADER, nats.errors.TimeoutError(), OSError("x"), *UNREADABLE]
)
async def test_a_purge_without_confirmation_is_an_error(reply: Any) -> None:
    with pytest.raises(JetStreamRequestError):
        await purge(answered(reply), STREAM)


async def test_a_test_message_is_empty() -> None:
    bodies: list[tuple[str, bytes]] = []

    def acknowledge(subject: str, body: bytes) -> Any:
        bodies.append((subject, body))
        return {"stream": STREAM, "seq": 1}

    await write_probe(connection_of(acknowledge), STREAM, "probe")
    assert bodies == [("probe", b"")]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (api_error(503, 10047, "insufficient storage"), "insufficient storage"),
        (nats.errors.TimeoutError(), "the disk of its server may be full"),
        (nats.errors.NoRespondersError(), "no response from stream"),
        *((one, "unreadable reply") for one in UNREADABLE),
    ],
)
async def test_a_test_message_without_acknowledgement_is_an_error(reply: Any, text: str) -> None:
    with pytest.raises(JetStreamRequestError, match=text):
        await write_probe(answered(reply), STREAM, "probe")


@pytest.mark.parametrize("reply", [STREAM_MISSING, {}])
async def test_the_offset_of_the_servers_clock_is_in_any_reply(reply: dict[str, Any]) -> None:
    for offset_s in (-100.0, 0.0, 100.0):
        ahead = datetime.fromtimestamp(time.time() + offset_s, UTC).isoformat()
        found = await server_clock_offset_s(answered({**reply, "ts": ahead}), STREAM)
        assert found == pytest.approx(offset_s, abs=60)
    assert await server_clock_offset_s(answered(reply), STREAM) is None


async def test_the_servers_nanoseconds_and_utc_are_understood() -> None:
    found = await server_clock_offset_s(answered({"ts": "2026-01-01T00:00:00.123456789Z"}), STREAM)
    assert found is not None
    assert found + time.time() == pytest.approx(1_767_225_600, abs=60)


@pytest.mark.parametrize(
    "reply",
    [nats.errors.TimeoutError(), OSError("x"), {"ts": "soon"}, {"ts": 7}, {"ts": None}]
    + [one for one in UNREADABLE if one != b"[]"],
)
async def test_a_clock_that_cannot_be_read_is_an_error(reply: Any) -> None:
    with pytest.raises(JetStreamRequestError):
        await server_clock_offset_s(answered(reply), STREAM)
