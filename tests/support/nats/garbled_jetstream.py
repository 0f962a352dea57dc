"""Replace JetStream's replies with invalid ones."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from nats.aio.msg import Msg

from pylon_client.nats.nats_connection import NatsConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GARBAGE: tuple[bytes, ...] = (
    *(b"", b"null", b"true", b"3", b'"error"', b"[]", b"{}", b"\xff\xfe", b"{", b"[" * 100_000),
    *(b'{"error":null}', b'{"error":"x"}', b'{"error":[]}', b'{"error":{}}'),
    *(b'{"error":{"code":"x"}}', b'{"error":{"code":503,"err_code":[]}}'),
    b'{"error":{"code":400,"err_code":10164,"description":[1]}}',
    b'{"error":{"code":404,"err_code":"10037","description":"no message found"}}',
    *(b'{"stream":"PYLON_EVENTS"}', b'{"seq":1}', b'{"stream":"PYLON","seq":1}'),
    *(b'{"stream":"%b","seq":%b}' % (stream, sequence)
      for stream in (b"PYLON_EVENTS", b"PYLON_JOBS", b"KV_pylon_jobs")
      for sequence in (b'"1"', b"-1", b"0", b"true", b"null", b"1.5", b"[]", b"1e999")),
    *(b'{"message":%b}' % message
      for message in (b"null", b"[]", b"{}", b'{"seq":"1"}', b'{"seq":1,"data":"x"}',
                      b'{"seq":0,"data":""}', b'{"seq":1,"data":7}', b'{"seq":1,"subject":[]}')),
    *(b'{"config":%b,"state":%b}' % (config, state)
      for config in (b"null", b"[]", b'{"subjects":3}', b'{"max_age":"x"}')
      for state in (b"null", b"[]", b'{"subjects":["x"]}')),
    # A worker's reply to a caller, which an attacker may redirect to the worker.
    b'{"status_code":404,"code":"NOT_FOUND","detail":"No such operation","retryable":false}',
)  # fmt: skip
"""Replies that JetStream never sends."""


class Garbled:
    """Replace the replies to the requests of one connection.

    Args:
        connection: its requests still reach the server and take effect.
        monkeypatch: restores the connection after the test.

    Attributes:
        garbage: replacements of the next replies; then replies stay unchanged.
        mutate: makes a replacement from a reply, if `garbage` is exhausted.
        replaced: number of replaced replies.
    """

    def __init__(self, connection: NatsConnection, monkeypatch: pytest.MonkeyPatch) -> None:
        self.garbage: Iterator[bytes] = iter(())
        self.mutate: Callable[[Any], bytes | None] | None = None
        self.replaced = 0
        self._request = connection.nats.request
        monkeypatch.setattr(connection.nats, "request", self._garbled)

    async def _garbled(self, *args: Any, **more: Any) -> Msg:
        reply = await self._request(*args, **more)
        garbage = next(self.garbage, None)
        if garbage is None and self.mutate is not None:
            garbage = self.mutate(_read(reply.data))
        if garbage is not None:
            self.replaced += 1
            reply.data, reply.headers = garbage, None
        return reply


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}
