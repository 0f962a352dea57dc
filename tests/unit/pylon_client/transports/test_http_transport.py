"""Requests over HTTP, compared byte by byte."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import httpx
import pytest

from pylon_client.contract import json_codec
from pylon_client.contract.operations import LATEST_NEURONS, NoParams, Operation, Params, Scope
from pylon_client.testing import sample_block_info, sample_neurons
from pylon_client.transport import OperationCall
from pylon_client.transports import http_transport
from pylon_client.transports.http_transport import HttpTransport
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    JobId,
    NetUid,
    PylonMisconfigured,
    PylonNetuidMismatch,
    PylonRequestException,
    PylonResponseException,
    PylonTimeout,
)
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.stepped_loop import run_stepped

NEURONS = json_codec.encode(sample_neurons())


CONFIG = AsyncConfig(
    address="https://pylon.test/behind/",
    open_access_token="open-token",
    identity_name="sn1",
    identity_token="token-of-sn1",
    timeout=PylonTimeout(read=12.5),
)


OPEN_CALL = OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3))


JOB_ID = JobId("a" * 26)


IDENTITY_CALL = OperationCall(LATEST_NEURONS, Scope.IDENTITY)


Handler = Callable[[httpx.Request], httpx.Response]


class Write(Params):
    """A body and two path parameters."""

    hotkey: str
    mechanism: int
    weights: dict[str, float]


async def ask(
    handler: Handler, call: OperationCall[Any] = OPEN_CALL, config: AsyncConfig = CONFIG
) -> bytes:
    transport = HttpTransport(config, http_transport=httpx.MockTransport(handler))
    await transport.open()
    try:
        return await transport.ask(call)
    finally:
        await transport.close()


@pytest.mark.parametrize(
    ("address", "loads"), [("http://pylon.test", 0), ("HTTPS://pylon.test", 1)]
)
async def test_trusted_certificates_are_loaded_only_for_tls(
    address: str, loads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[ssl.SSLContext] = []

    def load() -> ssl.SSLContext:
        loaded.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return loaded[-1]

    monkeypatch.setattr(ssl, "create_default_context", lambda **_: load())
    transport = HttpTransport(AsyncConfig(address=address))
    await transport.open()
    await transport.close()
    assert len(loaded) == loads


async def test_a_read_is_sent_as_the_published_client_sends_it() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=NEURONS)

    assert await ask(handler) == NEURONS
    (request,) = seen
    assert request.method == "GET"
    assert str(request.url) == "https://pylon.test/behind/api/v1/subnet/3/block/latest/neurons"
    assert request.headers["authorization"] == "Bearer open-token"
    assert request.headers["x-pylon-timeout"] == "12.5"


async def test_parameters_are_sent_in_the_quoted_path_or_in_the_body() -> None:
    operation = Operation(
        name="weights.put",
        summary="",
        params=Write,
        reply=NoParams,
        method="PUT",
        path="/mechanism/{mechanism}/weights/{hotkey}",
    )
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        identities = {"identities": {"other": 8, "sn1": 9}}
        return httpx.Response(200, json=identities if "identities" in str(request.url) else {})

    params = Write(hotkey="5C/../x?y", mechanism=1, weights={"5D": 0.5})
    await ask(handler, OperationCall(operation, Scope.IDENTITY, params=params))
    public, write = seen
    assert str(public.url).endswith("/api/v1/identities")
    assert "authorization" not in public.headers
    assert write.method == "PUT"
    assert write.url.raw_path == (
        b"/behind/api/v1/identity/sn1/subnet/9/mechanism/1/weights/5C%2F..%2Fx%3Fy"
    )
    assert json_codec.decode(write.content) == {"weights": {"5D": 0.5}}
    assert write.headers["authorization"] == "Bearer token-of-sn1"


class Service:
    """A service with one identity; records the paths of its requests."""

    def __init__(self, netuid: int = 1) -> None:
        self.netuid = netuid
        self.seen: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.url.path.removeprefix("/behind/api/v1"))
        if request.url.path.endswith("/identities"):
            return httpx.Response(200, json={"identities": {"sn1": self.netuid}})
        if f"/subnet/{self.netuid}/" in request.url.path:
            return httpx.Response(200, content=NEURONS)
        return httpx.Response(308, json={"detail": "Moved.", "code": "NETUID_MISMATCH"})


async def test_the_identitys_netuid_is_read_once_and_after_a_change() -> None:
    service = Service()
    transport = HttpTransport(CONFIG, http_transport=httpx.MockTransport(service))
    await transport.open()
    await asyncio.gather(*(transport.ask(IDENTITY_CALL) for _ in range(5)))
    assert service.seen.count("/identities") == 1
    service.netuid = 2
    service.seen.clear()
    await asyncio.gather(*(transport.ask(IDENTITY_CALL) for _ in range(5)))
    assert service.seen.count("/identities") == 1
    await transport.close()


async def test_a_repeated_netuid_mismatch_is_raised() -> None:
    class Confused(Service):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            response = super().__call__(request)
            self.netuid += 1
            return response

    service = Confused()
    async with AsyncPylonClient(
        CONFIG, transport=HttpTransport(CONFIG, http_transport=httpx.MockTransport(service))
    ) as client:
        with pytest.raises(PylonNetuidMismatch, match="Moved"):
            await client.identity.get_latest_neurons()
    assert service.seen.count("/identities") == 2
    assert len(service.seen) == 4


@pytest.mark.parametrize("body", [{"identities": {"sn2": 1}}, {"identities": {}}])
async def test_an_unknown_identity_is_misconfigured(body: Any) -> None:
    with pytest.raises(PylonMisconfigured, match="sn1"):
        await ask(lambda _: httpx.Response(200, json=body), IDENTITY_CALL)


async def test_an_invalid_list_of_identities_is_a_response_exception() -> None:
    with pytest.raises(PylonResponseException, match="identities"):
        await ask(lambda _: httpx.Response(200, text="<html>"), IDENTITY_CALL)


@pytest.mark.parametrize(("retry", "at_least_s"), [("400", 0.4), ("9" * 5000, 0.6)])
def test_a_stream_reconnects_after_the_delay_that_the_server_sends(
    monkeypatch: pytest.MonkeyPatch, retry: str, at_least_s: float
) -> None:
    """A bridge that stops sends each client another delay; the client limits it."""
    monkeypatch.setattr(http_transport, "MAX_STREAM_RETRY_S", 0.6)
    asked_s: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if "stream" not in request.url.path:
            return httpx.Response(200, content=json_codec.encode(sample_block_info()))
        asked_s.append(asyncio.get_running_loop().time())
        block = json_codec.encode(sample_block_info(len(asked_s))).decode()
        value = f"event: block\nid: {len(asked_s)}\ndata: {block}\n\n"
        return httpx.Response(200, text=f"{value}event: closing\nretry: {retry}\ndata: {{}}\n\n")

    async def story() -> None:
        transport = HttpTransport(CONFIG, http_transport=httpx.MockTransport(handler))
        async with (
            AsyncPylonClient(CONFIG, transport=transport) as client,
            aclosing(client.open_access.blocks()) as blocks,
            asyncio.timeout(HANGS_AFTER_S),
        ):
            assert [(await anext(blocks)).number for _ in range(2)] == [1, 2]

    run_stepped(story())
    assert at_least_s <= asked_s[1] - asked_s[0] < 3


async def test_the_number_of_job_streams_is_limited() -> None:
    """Further streams raise, and their jobs are polled."""
    streams = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal streams
        if request.url.path.endswith("/identities"):
            return httpx.Response(200, json={"identities": {"sn1": 9}})
        assert request.url.path.endswith(f"/identity/sn1/subnet/9/jobs/{JOB_ID}/stream")
        assert request.headers["authorization"] == "Bearer token-of-sn1"
        streams += 1
        return httpx.Response(200, content=b'event: job\ndata: {"a": 1}\n\n')

    transport = HttpTransport(CONFIG, http_transport=httpx.MockTransport(handler))
    await transport.open()
    async with AsyncExitStack() as stack:
        for _ in range(http_transport.MAX_JOB_STREAMS):
            bodies = await stack.enter_async_context(transport.listen_to_job(JOB_ID))
            assert await anext(bodies) == b'{"a": 1}'
        with pytest.raises(PylonRequestException, match="streamed already"):
            await stack.enter_async_context(transport.listen_to_job(JOB_ID))
    async with transport.listen_to_job(JOB_ID):
        pass
    await transport.close()
    assert streams == http_transport.MAX_JOB_STREAMS + 1
