"""The expected outcome of a message: a reply, or a named rule by which it gets no reply."""

import re
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from pylon.nats_server.permissions import NatsUser
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.failures import FAILURE_KINDS, ErrorCode, Failure
from pylon_client.contract.subjects import (
    CANCELLATIONS,
    CONTRACT_VERSION,
    SERVER_USERS,
    WORKER_USER,
)
from pylon_client.contract.topology import STREAMS
from tests.support.wire.wire_corpus import AnyOperation, WireMessage

_INBOX = re.compile(rb"_INBOX(\.[!-)+-\-/-=?-~]+)+")
_DISCOVERY = re.compile(rb"\$SRV\.(PING|INFO|STATS)(\.pylon)?")


class Outcome(StrEnum):
    """The outcome of a message.

    ANSWERED: exactly one reply arrives at the inbox of the sender.
    ANSWERED_TO_NOBODY: a reply is sent, but no client subscribes to the inbox.
    DENIED: the server refuses the message, because its user may not publish on the subject.
    NO_INBOX: the reply subject is missing or is not an inbox; no reply is sent.
    FOREIGN_INBOX: a request of an identity with the inbox of another user as its reply subject.
    SERVER_INBOX: the reply subject is an inbox of a worker; no reply is sent.
    NOT_STORED: a worker published it on a subject that no stream stores.
    NOT_ASKED: the subject belongs to service discovery of other services or to cancellations.
    """

    ANSWERED = "answered"
    ANSWERED_TO_NOBODY = "answered to nobody"
    DENIED = "denied by the server"
    NO_INBOX = "no inbox to answer to"
    FOREIGN_INBOX = "the inbox of somebody else"
    SERVER_INBOX = "the inbox of a worker"
    NOT_ASKED = "nothing is asked"
    NOT_STORED = "no stream's"


class Rules:
    """The rules of the contract and the permissions.

    Args:
        users: of the server.
    """

    def __init__(self, users: list[NatsUser]) -> None:
        self._users = {user.name: user for user in users}
        self._streams = tuple(subject for plan in STREAMS for subject in plan.subjects)

    def outcome(self, sent: WireMessage) -> Outcome:
        user = self._users[sent.user]
        if not may(sent.subject, user.publish) or may(sent.subject, user.publish_deny):
            return Outcome.DENIED
        if sent.user == WORKER_USER:
            return Outcome.ANSWERED if may(sent.subject, self._streams) else Outcome.NOT_STORED
        is_discovery = sent.subject.startswith(b"$SRV.")
        if is_discovery and not _DISCOVERY.fullmatch(sent.subject):
            return Outcome.NOT_ASKED
        if may(sent.subject, CANCELLATIONS):
            return Outcome.NOT_ASKED
        if not _INBOX.fullmatch(sent.reply):
            return Outcome.NO_INBOX
        return self._outcome_of_reply(sent)

    def _outcome_of_reply(self, sent: WireMessage) -> Outcome:
        inbox = sent.reply.split(b".")
        if inbox[1].decode() in SERVER_USERS:
            return Outcome.SERVER_INBOX
        match sent.subject.split(b".", 4):
            case [b"pylon", b"v1", b"identity", name, _] if inbox[1] not in {name, b"bridge"}:
                return Outcome.FOREIGN_INBOX
            case _:
                has_subscriber = len(inbox) > 2 and inbox[1].decode() in self._users
                return Outcome.ANSWERED if has_subscriber else Outcome.ANSWERED_TO_NOBODY


def may(subject: bytes, patterns: tuple[str, ...]) -> bool:
    """Return whether a subject matches one of the patterns."""
    return any(_matches(subject.split(b"."), pattern.encode().split(b".")) for pattern in patterns)


def _matches(tokens: list[bytes], pattern: list[bytes]) -> bool:
    if not all(tokens):
        return False
    if pattern[-1] == b">":
        return len(tokens) >= len(pattern) and _matches(tokens[: len(pattern) - 1], pattern[:-1])
    return len(tokens) == len(pattern) and all(
        expected in {b"*", token} for expected, token in zip(pattern, tokens, strict=True)
    )


class ReplyChecker:
    """Checks replies against the contract; equal bodies are parsed once."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int]] = set()

    def code_of(self, sent: WireMessage, headers: bytes, body: bytes) -> ErrorCode | None:
        """Return the code of a failure, None for a success; fail on any other reply."""
        reply_headers = dict(_fields(headers))
        assert reply_headers[wire_headers.CONTRACT] == CONTRACT_VERSION
        error = reply_headers.get(wire_headers.ERROR)
        if error is not None:
            failure = Failure.model_validate_json(body)
            kind = FAILURE_KINDS[failure.code]
            assert failure.code == ErrorCode(error)
            assert failure.retryable == kind.retryable
            assert reply_headers[wire_headers.SERVICE_ERROR_CODE] == str(kind.http_status)
            assert reply_headers[wire_headers.SERVICE_ERROR]
            return failure.code
        key = (sent.operation.name if sent.operation else "", hash(body))
        if sent.operation is not None and key not in self._known:
            self._known.add(key)
            _parse(sent.operation, body)
        return None


def _parse(operation: AnyOperation, body: bytes) -> None:
    reply: type[BaseModel] = operation.reply
    try:
        reply.model_validate_json(body)
    except ValidationError as error:
        raise AssertionError(f"{operation.name} was answered with {body[:200]!r}") from error


def _fields(headers: bytes) -> Any:
    lines = headers.split(b"\r\n")
    assert lines[0] == b"NATS/1.0"
    for line in lines[1:-2]:
        name, _, value = line.partition(b": ")
        yield name.decode(), value.decode()
