"""What people read of the client: errors that name what failed, no key material, its own log."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncGenerator

import httpx
import pytest
from tenacity import stop_after_attempt

from pylon_client.contract import wire
from pylon_client.contract.operations import LATEST_NEURONS, Scope
from pylon_client.http.http_transport import HttpTransport
from pylon_client.nats_transport import _Credential
from pylon_client.network_errors import network_error_reason
from pylon_client.testing import sample_neurons
from pylon_client.transport import OperationCall
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    AsyncConfig,
    AsyncPylonClient,
    BasePylonException,
    CertificateAlgorithm,
    NetUid,
    NeuronCertificateKeypair,
    PrivateKey,
    PublicKey,
    PylonRequestException,
    PylonTimeout,
    PylonTimeoutException,
    TimeoutReason,
)
from tests.support.product.eventually import HANGS_AFTER_S

ONCE = ASYNC_DEFAULT_RETRIES.copy(stop=stop_after_attempt(1))
NO_HOST = socket.gaierror(-2, "Name or service not known")
KEY = "0x" + "5e" * 32


async def asked(address: str | list[str], **fields: object) -> BasePylonException:
    """What a client raises that asks at an address."""
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
async def test_nobody_who_listens_is_told_with_the_address(address: str) -> None:
    error = await asked(address)
    assert isinstance(error, PylonRequestException)
    assert "127.0.0.1:1: connection refused" in str(error)


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("scheme", ["http", "https", "nats", "tls"])
async def test_a_host_without_an_address_is_not_one_where_nobody_listens(scheme: str) -> None:
    error = await asked(f"{scheme}://nowhere.invalid:4222")
    assert "nowhere.invalid:4222: the host name cannot be resolved" in str(error)
    assert "listens" not in str(error)
    assert error.retryable


@pytest.fixture
async def silent_port() -> AsyncGenerator[int]:
    """A server that takes connections and says nothing."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(
        lambda _, writer: held.append(writer), host="127.0.0.1", port=0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in held:
            writer.close()


@pytest.mark.parametrize(("scheme", "reason"), [("http", "READ"), ("nats", "CONNECT")])
async def test_a_silent_server_is_told_with_its_address(
    silent_port: int, scheme: str, reason: str
) -> None:
    address = f"{scheme}://127.0.0.1:{silent_port}"
    timeout = PylonTimeout(connect=0.2, read=0.2)
    async with asyncio.timeout(HANGS_AFTER_S):
        error = await asked(address, timeout=timeout)
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


@pytest.mark.parametrize("wrong", [70_000, -1, True, "1"])
def test_a_netuid_that_cannot_be_one_is_named(wrong: object) -> None:
    with pytest.raises(ValueError, match="netuid\n"):
        OperationCall(LATEST_NEURONS, Scope.OPEN, wrong)  # type: ignore[arg-type]


def test_key_material_and_tokens_are_in_no_repr() -> None:
    pair = NeuronCertificateKeypair(
        algorithm=CertificateAlgorithm.ED25519,
        public_key=PublicKey("0xab"),
        private_key=PrivateKey(KEY),
    )
    shown = f"{pair} {pair!r} {[pair]} {_Credential('sn1', KEY)!r}"
    assert "5e5e" not in shown
    assert pair.model_dump()["private_key"] == KEY
    with pytest.raises(ValueError, match="private_key") as caught:
        NeuronCertificateKeypair.model_validate(
            {"algorithm": 1, "public_key": "0xab", "private_key": [KEY]}
        )
    assert "5e5e" not in str(caught.value)


async def test_the_http_librarys_lines_are_not_in_the_log_of_the_clients_requests(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=wire.encode(sample_neurons()))

    carrier = httpx.MockTransport(handler)
    transport = HttpTransport(AsyncConfig(address="http://pylon.test"), http_transport=carrier)
    await transport.open()
    with caplog.at_level(logging.INFO, "httpx"):
        await transport.ask(OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3)))
        assert not caplog.records
        # What a program asks with the library itself is logged as before.
        async with httpx.AsyncClient(transport=carrier) as others:
            await others.get("http://elsewhere.test")
        assert [record.name for record in caplog.records] == ["httpx"]
    with caplog.at_level(logging.DEBUG, "pylon_client"):
        await transport.ask(OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3)))
    await transport.close()
    assert caplog.messages[-1] == "GET /api/v1/subnet/3/block/latest/neurons: 200"
