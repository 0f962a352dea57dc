"""Translation of HTTP errors."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pylon_client.contract.operations import LATEST_NEURONS, Scope
from pylon_client.retry import is_worth_retrying
from pylon_client.transport import OperationCall
from pylon_client.transports.http_transport import HttpTransport
from pylon_client.v1 import (
    AsyncConfig,
    BasePylonException,
    NetUid,
    PylonBadGateway,
    PylonRequestException,
    PylonResponseException,
    PylonTimeout,
    PylonTimeoutException,
    PylonUnavailable,
    TimeoutReason,
)

CONFIG = AsyncConfig(
    address="https://pylon.test/behind/",
    open_access_token="open-token",
    identity_name="sn1",
    identity_token="token-of-sn1",
    timeout=PylonTimeout(read=12.5),
)

OPEN_CALL = OperationCall(LATEST_NEURONS, Scope.OPEN, NetUid(3))


Handler = Callable[[httpx.Request], httpx.Response]


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
async def test_unsuccessful_responses_are_translated(
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
async def test_a_timeout_names_the_step(
    raised: type[httpx.TimeoutException], reason: TimeoutReason, seconds: float
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise raised("late", request=request)

    with pytest.raises(PylonTimeoutException, match=reason) as caught:
        await ask(handler)
    assert (caught.value.reason, caught.value.timeout_seconds) == (reason, seconds)
    assert is_worth_retrying(caught.value)


async def test_the_whole_response_has_a_timeout() -> None:
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


async def test_a_broken_connection_is_a_request_exception() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("cut", request=request)

    with pytest.raises(PylonRequestException, match="cut") as caught:
        await ask(handler)
    assert is_worth_retrying(caught.value)
