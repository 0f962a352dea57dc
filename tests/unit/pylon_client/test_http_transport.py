"""What goes over HTTP, byte for byte, and what comes of every answer."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import httpx
import pytest

from pylon_client.contract import wire
from pylon_client.contract.operations import LATEST_NEURONS, NoParams, Operation, Params, Scope
from pylon_client.http import http_transport
from pylon_client.http.http_transport import HttpTransport
from pylon_client.retry import is_worth_retrying
from pylon_client.testing import sample_block_info, sample_neuron, sample_neurons
from pylon_client.transport import OperationCall
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    BasePylonException,
    JobId,
    NetUid,
    PylonBadGateway,
    PylonMisconfigured,
    PylonNetuidMismatch,
    PylonRequestException,
    PylonResponseException,
    PylonTimeout,
    PylonTimeoutException,
    PylonUnavailable,
    TimeoutReason,
)
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.stepped_loop import run_stepped

NEURONS = wire.encode(sample_neurons())
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
    """A body and two places in the path."""

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


async def test_the_request_is_the_published_clients_request() -> None:
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


async def test_what_is_not_in_the_path_is_the_body_and_the_path_is_quoted() -> None:
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
    assert wire.decode(write.content) == {"weights": {"5D": 0.5}}
    assert write.headers["authorization"] == "Bearer token-of-sn1"


class Service:
    """Knows the netuid of the identity, and counts who asks for it."""

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


async def test_the_identitys_netuid_is_asked_once_and_again_when_it_has_changed() -> None:
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


async def test_a_netuid_that_stays_wrong_is_raised_after_one_more_try() -> None:
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
async def test_an_identity_that_pylon_does_not_know_is_misconfigured(body: Any) -> None:
    with pytest.raises(PylonMisconfigured, match="sn1"):
        await ask(lambda _: httpx.Response(200, json=body), IDENTITY_CALL)


async def test_a_list_of_identities_that_is_none_is_a_bad_response() -> None:
    with pytest.raises(PylonResponseException, match="identities"):
        await ask(lambda _: httpx.Response(200, text="<html>"), IDENTITY_CALL)


@pytest.mark.parametrize(
    ("answer", "kind", "code", "detail", "retryable"),
    [
        (httpx.Response(502, text="<html>Bad"), PylonBadGateway, None, None, True),
        (httpx.Response(503), PylonUnavailable, None, None, True),
        (httpx.Response(500, json=[1]), PylonResponseException, None, None, False),
        (httpx.Response(418, json={"detail": "T"}), PylonResponseException, None, "T", False),
        (
            httpx.Response(502, json={"code": "CHAIN_REJECTED", "detail": "No."}),
            PylonBadGateway,
            "CHAIN_REJECTED",
            "No.",
            False,
        ),
        (
            httpx.Response(429, json={"code": "NEWER", "detail": "N", "retryable": False}),
            None,
            "NEWER",
            "N",
            False,
        ),
        (httpx.Response(302, headers={"location": "/x"}), None, None, None, False),
    ],
)
async def test_every_answer_is_understood_as_far_as_it_goes(
    answer: httpx.Response,
    kind: type[BasePylonException] | None,
    code: str | None,
    detail: str | None,
    retryable: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    with pytest.raises(kind or PylonResponseException) as caught:
        await ask(lambda _: answer)
    error = caught.value
    assert (error.code, error.detail, error.retryable) == (code, detail, retryable)
    assert error.status_code == answer.status_code
    assert is_worth_retrying(error) is retryable


@pytest.mark.parametrize(
    ("raised", "reason", "seconds"),
    [
        (httpx.ConnectTimeout, TimeoutReason.CONNECT, 5),
        (httpx.ReadTimeout, TimeoutReason.READ, 12.5),
        (httpx.WriteTimeout, TimeoutReason.WRITE, 5),
        (httpx.PoolTimeout, TimeoutReason.POOL, 5),
    ],
)
async def test_a_timeout_says_what_was_waited_for(
    raised: type[httpx.TimeoutException], reason: TimeoutReason, seconds: float
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise raised("late", request=request)

    with pytest.raises(PylonTimeoutException, match=reason) as caught:
        await ask(handler)
    assert (caught.value.reason, caught.value.timeout_seconds) == (reason, seconds)
    assert is_worth_retrying(caught.value)


async def test_an_answer_that_trickles_is_not_waited_for_for_ever() -> None:
    async def trickle(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    config = CONFIG.model_copy(
        update={"timeout": PylonTimeout(connect=0.05, read=0.05, write=0.05, pool=0.05)}
    )
    transport = HttpTransport(config, http_transport=httpx.MockTransport(trickle))
    await transport.open()
    with pytest.raises(PylonTimeoutException, match="read"):
        await transport.ask(OPEN_CALL)
    await transport.close()


@pytest.mark.parametrize(("retry", "at_least_s"), [("400", 0.4), ("9" * 5000, 0.6)])
def test_a_stream_that_pylon_ends_is_asked_for_again_when_it_says(
    monkeypatch: pytest.MonkeyPatch, retry: str, at_least_s: float
) -> None:
    """Listeners of a bridge that stops are told different times; no time is too long."""
    monkeypatch.setattr(http_transport, "STREAM_RETRY_MAX_S", 0.6)
    asked_s: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if "stream" not in request.url.path:
            return httpx.Response(200, content=wire.encode(sample_block_info()))
        asked_s.append(asyncio.get_running_loop().time())
        block = wire.encode(sample_block_info(len(asked_s))).decode()
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


async def test_a_broken_connection_is_a_request_exception() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("cut", request=request)

    with pytest.raises(PylonRequestException, match="cut") as caught:
        await ask(handler)
    assert is_worth_retrying(caught.value)


async def test_a_reply_that_breaks_the_contract_says_where_and_shows_no_value() -> None:
    body = wire.decode(NEURONS)
    hotkey = sample_neuron(1).hotkey
    body["neurons"][hotkey]["uid"] = "not-a-uid"
    with pytest.raises(PylonResponseException) as caught:
        OPEN_CALL.decode_reply(wire.encode(body))
    assert f"neurons.{hotkey}.uid" in str(caught.value)
    assert "not-a-uid" not in str(caught.value)
    assert not is_worth_retrying(caught.value)


async def test_the_streams_of_jobs_leave_connections_for_requests() -> None:
    """Those beyond the limit raise, and their jobs are polled."""
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
        for _ in range(http_transport.JOB_STREAMS_MAX):
            bodies = await stack.enter_async_context(transport.listen_to_job(JOB_ID))
            assert await anext(bodies) == b'{"a": 1}'
        with pytest.raises(PylonRequestException, match="streamed already"):
            await stack.enter_async_context(transport.listen_to_job(JOB_ID))
    async with transport.listen_to_job(JOB_ID):
        pass
    await transport.close()
    assert streams == http_transport.JOB_STREAMS_MAX + 1
