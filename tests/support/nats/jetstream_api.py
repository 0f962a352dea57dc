"""A connection to NATS whose requests are answered by a function, below a `JetStreamContext`."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pylon_client.nats.nats_connection import NatsConnection

Answer = Callable[[str, bytes], Any]
"""Returns the reply to a request of a subject and a body: an object for JSON, bytes, a message of
`message_of`, or an exception to raise."""


class ApiNats:
    """Answers requests, and keeps their subjects and headers."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.subjects: list[str] = []
        self.headers: list[dict[str, str]] = []

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109 -- the library's own
        headers: dict[str, str] | None = None,
        **_: Any,
    ) -> Any:
        self.subjects.append(subject)
        self.headers.append(dict(headers or {}))
        found = self.answer(subject, payload)
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, SimpleNamespace):
            return found
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        return message_of(data)


def message_of(data: bytes, **headers: str) -> Any:
    """Return a message with a body and headers, of which `_` in a name is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(data=data, headers=named or None, header=named or None)


def connection_of(answer: Answer, *, is_connected: bool = True) -> "NatsConnection":
    """Return a connection whose `nats` is an `ApiNats`."""
    return cast("NatsConnection", SimpleNamespace(is_connected=is_connected, nats=ApiNats(answer)))


def api_error(code: int, err_code: int, description: str = "scripted") -> dict[str, Any]:
    """Return the reply of JetStream for an error."""
    return {"error": {"code": code, "err_code": err_code, "description": description}}


STREAM_MISSING = api_error(404, 10059, "stream not found")
NO_MESSAGE_FOUND = api_error(404, 10037, "no message found")
NO_LEADER = api_error(503, 10008, "JetStream system temporarily unavailable")
CONFLICT = api_error(400, 10071, "wrong last sequence: 7")
