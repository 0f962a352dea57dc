"""Clients are closed in the background, with a second attempt if the first one blocks."""

import asyncio

import pytest

from pylon.chain import client_closer
from pylon.chain.client_closer import ClientCloser
from tests.support.product.eventually import HANGS_AFTER_S


class FakeClient:
    """A client whose close blocks or fails for some attempts."""

    def __init__(self, *, blocked_attempts: int = 0, error: Exception | None = None) -> None:
        self.attempts = 0
        self.is_closed = False
        self._blocked_attempts = blocked_attempts
        self._error = error

    async def connect(self) -> None: ...

    async def close(self) -> None:
        self.attempts += 1
        if self.attempts <= self._blocked_attempts:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        self.is_closed = True


async def test_a_client_is_closed_in_the_background() -> None:
    closer, client = ClientCloser("node"), FakeClient()
    closer.close(client)
    assert not client.is_closed
    await closer.wait(HANGS_AFTER_S)
    assert client.is_closed
    await closer.wait(0)


async def test_a_close_that_blocks_is_attempted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_closer, "CLOSE_ATTEMPTS_S", (0.0, HANGS_AFTER_S))
    closer, client = ClientCloser("node"), FakeClient(blocked_attempts=1)
    closer.close(client)
    await closer.wait(HANGS_AFTER_S)
    assert (client.attempts, client.is_closed) == (2, True)


async def test_the_wait_ends_at_its_timeout_though_a_client_is_not_closed() -> None:
    closer, client = ClientCloser("node"), FakeClient(blocked_attempts=1)
    closer.close(client)
    await closer.wait(0)
    assert not client.is_closed


async def test_an_error_of_a_close_is_ignored() -> None:
    closer, client = ClientCloser("node"), FakeClient(error=OSError("broken"))
    closer.close(client)
    await closer.wait(HANGS_AFTER_S)
    assert client.attempts >= 1
