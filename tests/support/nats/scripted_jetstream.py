"""A replicated JetStream stream in memory; a seed decides its replies, and when it vanishes.

It replaces the client of the NATS library below a `JetStreamContext`. Every request may have a
fault, until `faults` faults have occurred; after that, every request succeeds.
"""

import asyncio
import base64
import json
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import SimpleNamespace
from typing import Any

import nats.errors
from nats.js import api

from pylon.jetstream.error_codes import (
    MESSAGE_ID_IN_FLIGHT,
    NO_MESSAGE,
    STREAM_NOT_FOUND,
    SUBJECT_IN_FLIGHT,
    WRONG_LAST_SEQUENCE,
)

NO_LEADER = 10008
_Message = tuple[str, dict[str, str], bytes]
EXPECTED = api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value
MESSAGE_ID = api.Header.MSG_ID.value
EXPECTED_STREAM = api.Header.EXPECTED_STREAM.value
FAULT_SHARE = 0.6


class Fault(Enum):
    """The fault of a request. Reads have only the first three."""

    LOST = "no effect and no reply"
    NO_LEADER = "no effect, and an error reply"
    VANISHES = "the stream is deleted, and recreated some requests later"
    REPLY_LOST = "the effect without a reply"
    PROPOSED = "in flight for some requests, then stored or lost; no reply"
    UNDECIDED = "not proposed, because another message is in flight"
    UNDECIDED_BUT_STORED = "stored, although the reply reports a message in flight"


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that the stream has stored.

    Attributes:
        life: number of times that the stream had vanished before.
    """

    life: int
    sequence: int
    subject: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _InFlight:
    message: _Message | None
    subject: str
    message_id: str | None
    requests_left: int


class ScriptedJetStream:
    """One stream of every subject.

    Args:
        number: the seed.
        faults: the total number of faults.

    Attributes:
        stored: every message that was ever stored, including messages of vanished streams.
        life: the number of times that the stream has vanished.
        met: the faults that occurred.
    """

    def __init__(self, number: int, faults: int) -> None:
        self.stored: list[Stored] = []
        self.life = 0
        self.met: list[Fault] = []
        self._random = Random(number)  # noqa: S311 -- guards nothing
        self._faults = faults
        self._in_flight: list[_InFlight] = []
        self._missing_for = 0
        self._sequence = 0

    def newest(self, subject: str) -> Stored | None:
        """Return the leader's last message of a subject."""
        alive = (one for one in reversed(self.stored) if one.life == self.life)
        return next((one for one in alive if one.subject == subject), None)

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        **_: object,
    ) -> Any:
        """Reply to a publish or to a request for a message, as JetStream does."""
        await asyncio.sleep(0)
        self._go_on()
        is_read = subject.startswith("$JS.API.STREAM.MSG.GET.")
        fault = self._draw(is_read=is_read)
        if fault is Fault.VANISHES:
            self._vanish()
        if self._missing_for:
            if is_read:
                return _error(404, STREAM_NOT_FOUND)
            raise nats.errors.NoRespondersError
        match fault:
            case Fault.LOST:
                raise nats.errors.TimeoutError
            case Fault.NO_LEADER:
                return _error(503, NO_LEADER)
            case _ if is_read:
                return self._read(json.loads(body))
            case _:
                return self._publish(fault, subject, dict(headers or {}), body)

    def _draw(self, *, is_read: bool) -> Fault | None:
        if self._missing_for or not self._faults or self._random.random() > FAULT_SHARE:
            return None
        self._faults -= 1
        kinds = [Fault.LOST, Fault.NO_LEADER] if is_read else list(Fault)
        if not is_read and self._random.random() < 0.8:
            kinds.remove(
                Fault.VANISHES
            )  # rare, because it discards the effects of the other faults
        self.met.append(self._random.choice(kinds))
        return self.met[-1]

    def _go_on(self) -> None:
        """Advance by one request: messages in flight arrive, a missing stream is recreated."""
        self._missing_for = max(self._missing_for - 1, 0)
        for one in tuple(self._in_flight):
            one.requests_left -= 1
            if one.requests_left <= 0:
                self._in_flight.remove(one)
                if one.message is not None:
                    self._store(*one.message)

    def _vanish(self) -> None:
        self.life += 1
        self._in_flight.clear()
        self._missing_for = self._random.randint(1, 5)
        self._sequence += 1000  # sequences of a new stream continue those of the previous one

    def _read(self, query: dict[str, Any]) -> Any:
        if "last_by_subj" in query:
            found = self.newest(query["last_by_subj"])
        else:
            found = next(
                (
                    one
                    for one in self.stored
                    if one.life == self.life
                    and one.subject == query["next_by_subj"]
                    and one.sequence >= query["seq"]
                ),
                None,
            )
        if found is None:
            return _error(404, NO_MESSAGE)
        lines = "".join(f"{name}: {value}\r\n" for name, value in found.headers.items())
        return _reply(
            message={
                "subject": found.subject,
                "seq": found.sequence,
                "data": base64.b64encode(found.body).decode(),
                "hdrs": base64.b64encode(f"NATS/1.0\r\n{lines}\r\n".encode()).decode(),
                "time": "2026-01-01T00:00:00Z",
            }
        )

    def _publish(
        self, fault: Fault | None, subject: str, headers: dict[str, str], body: bytes
    ) -> Any:
        """Check a message in the order of a stream leader, then store or propose it."""
        message_id = headers.get(MESSAGE_ID)
        if (known := self._known(message_id)) is not None:
            return _reply(stream=_stream_of(subject, headers), seq=known, duplicate=True)
        if (err_code := self._objection(subject, message_id, headers.get(EXPECTED))) is not None:
            return _error(400, err_code)
        message = (subject, headers, body)
        match fault:
            case Fault.PROPOSED:
                is_stored = self._random.random() < 0.7
                self._propose(message if is_stored else None, subject, message_id)
            case Fault.UNDECIDED:
                self._propose(None, subject, message_id)
                return _error(400, MESSAGE_ID_IN_FLIGHT if message_id else SUBJECT_IN_FLIGHT)
            case _:
                sequence = self._store(*message)
                if fault is Fault.UNDECIDED_BUT_STORED:
                    return _error(400, MESSAGE_ID_IN_FLIGHT if message_id else SUBJECT_IN_FLIGHT)
                if fault is None:
                    return _reply(stream=_stream_of(subject, headers), seq=sequence)
        raise nats.errors.TimeoutError

    def _objection(self, subject: str, message_id: str | None, expected: str | None) -> int | None:
        if message_id is not None and message_id in {one.message_id for one in self._in_flight}:
            return MESSAGE_ID_IN_FLIGHT
        if expected is None:
            return None
        if subject in {one.subject for one in self._in_flight}:
            return SUBJECT_IN_FLIGHT
        newest = self.newest(subject)
        last = 0 if newest is None else newest.sequence
        return None if int(expected) == last else WRONG_LAST_SEQUENCE

    def _propose(self, message: _Message | None, subject: str, message_id: str | None) -> None:
        requests = self._random.randint(1, 6)
        self._in_flight.append(_InFlight(message, subject, message_id, requests))

    def _known(self, message_id: str | None) -> int | None:
        if message_id is None:
            return None
        return next(
            (
                one.sequence
                for one in self.stored
                if one.life == self.life and one.headers.get(MESSAGE_ID) == message_id
            ),
            None,
        )

    def _store(self, subject: str, headers: dict[str, str], body: bytes) -> int:
        self._sequence += 1
        self.stored.append(Stored(self.life, self._sequence, subject, headers, body))
        return self._sequence


def _stream_of(subject: str, headers: dict[str, str]) -> str:
    """Return the name in an acknowledgement: of the expected stream, or of the key's bucket."""
    return headers.get(EXPECTED_STREAM) or f"KV_{subject.split('.')[1]}"


def _error(code: int, err_code: int) -> Any:
    return _reply(error={"code": code, "err_code": err_code, "description": "scripted"})


def _reply(**answer: Any) -> Any:
    return SimpleNamespace(data=json.dumps(answer).encode())
