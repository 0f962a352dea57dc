"""Errors of connections name the address and the reason."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator

import httpx
import pytest
from tenacity import stop_after_attempt

from pylon_client.network_errors import network_error_reason
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    AsyncConfig,
    AsyncPylonClient,
    BasePylonException,
    NetUid,
    PylonRequestException,
    PylonTimeout,
    PylonTimeoutException,
    TimeoutReason,
)
from tests.support.product.eventually import HANGS_AFTER_S

ONCE = ASYNC_DEFAULT_RETRIES.copy(stop=stop_after_attempt(1))


NO_HOST = socket.gaierror(-2, "Name or service not known")


KEY = "0x" + "5e" * 32


async def read_error(address: str | list[str], **fields: object) -> BasePylonException:
    """Return the exception of a read at an address."""
    config = AsyncConfig.model_validate({"address": address, "retry": ONCE, **fields})
    async with AsyncPylonClient(config) as client:
        with pytest.raises(BasePylonException) as caught:
            await client.open_access.get_latest_neurons(NetUid(1))
    return caught.value


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise NO_HOST

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "nats://127.0.0.1:1"])
async def test_a_refused_connection_is_reported_with_the_address(address: str) -> None:
    error = await read_error(address)
    assert isinstance(error, PylonRequestException)
    assert "127.0.0.1:1: connection refused" in str(error)


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("scheme", ["http", "https", "nats", "tls"])
async def test_an_unknown_host_is_reported_as_such(scheme: str) -> None:
    error = await read_error(f"{scheme}://nowhere.invalid:4222")
    assert "nowhere.invalid:4222: the host name cannot be resolved" in str(error)
    assert "listens" not in str(error)
    assert error.retryable


@pytest.fixture
async def silent_port() -> AsyncGenerator[int]:
    """Run a server that accepts connections and sends nothing; yield its port."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(
        lambda _, writer: held.append(writer), host="127.0.0.1", port=0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in held:
            writer.close()


@pytest.mark.parametrize(("scheme", "reason"), [("http", "READ"), ("nats", "CONNECT")])
async def test_a_timeout_is_reported_with_the_address(
    silent_port: int, scheme: str, reason: str
) -> None:
    address = f"{scheme}://127.0.0.1:{silent_port}"
    timeout = PylonTimeout(connect=0.2, read=0.2)
    async with asyncio.timeout(HANGS_AFTER_S):
        error = await read_error(address, timeout=timeout)
    assert isinstance(error, PylonTimeoutException)
    assert error.reason is TimeoutReason[reason]
    assert address in str(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExceptionGroup("many", [OSError(), ConnectionRefusedError()]), "connection refused"),
        (NO_HOST, "the host name cannot be resolved"),
        (ssl.SSLError("WRONG_VERSION_NUMBER"), "the server does not speak TLS, or not in an"),
        (OSError("another"), None),
    ],
)
def test_the_cause_of_a_failed_connection_is_found(error: Exception, reason: str | None) -> None:
    raised = httpx.ConnectError("All connection attempts failed")
    raised.__cause__ = error
    found = network_error_reason(raised)
    assert found is reason is None or str(found).startswith(str(reason))
