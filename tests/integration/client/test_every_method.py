"""Every method, by both clients, over both transports: the same reply and the same request."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tenacity import stop_after_attempt, wait_none

from pylon_client.contract.failures import (
    FAILURE_KINDS,
    ErrorCode,
    FailureError,
    InvalidItem,
    UnknownCodeFailure,
)
from pylon_client.contract.operations import Scope
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    DEFAULT_RETRIES,
    AsyncConfig,
    AsyncPylonClient,
    BasePylonException,
    BlockNumber,
    Config,
    MechanismId,
    PylonBadGateway,
    PylonClient,
    PylonClosed,
    PylonForbidden,
    PylonNetuidMismatch,
    PylonNotFound,
    PylonRateLimited,
    PylonRequestException,
    PylonResponseException,
    PylonTimeout,
    PylonTimeoutException,
    PylonUnauthorized,
    PylonUnavailable,
    TimeoutReason,
    Weight,
)
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.scripted_service import (
    AUTHORIZATION,
    IDENTITY,
    IDENTITY_TOKEN,
    OPEN_TOKEN,
    ScriptedService,
)
from tests.support.product.client_methods import BLOCK_NUMBER, HOTKEY, METHODS, NETUID, REPLIES
from tests.support.product.eventually import HANGS_AFTER_S

Invoke = Callable[[Callable[[Any], Any]], Awaitable[Any]]
TOKENS = {
    "open_access_token": OPEN_TOKEN,
    "identity_name": IDENTITY,
    "identity_token": IDENTITY_TOKEN,
}


WRITING = {"PUT", "POST"}


@asynccontextmanager
async def open_client(flavour: str, url: str, **fields: Any) -> AsyncGenerator[Invoke]:
    """Return a function that sends one call through an open client."""
    if flavour == "async":
        fields = {"retry": ASYNC_DEFAULT_RETRIES.copy(wait=wait_none()), **fields}
        async with AsyncPylonClient(AsyncConfig(address=url, **fields)) as client:

            async def invoke(call: Callable[[Any], Any]) -> Any:
                return await call(client)

            yield invoke
    else:
        fields = {"retry": DEFAULT_RETRIES.copy(wait=wait_none()), **fields}
        sync_client = PylonClient(Config(address=url, **fields))
        await asyncio.to_thread(sync_client.open)

        async def ask_in_thread(call: Callable[[Any], Any]) -> Any:
            return await asyncio.to_thread(call, sync_client)

        yield ask_in_thread
        await asyncio.to_thread(sync_client.close)


@pytest.fixture(params=["async", "sync"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


@pytest.fixture(params=["http", "nats"])
async def url(
    request: pytest.FixtureRequest, service: ScriptedService, tmp_path: Path
) -> AsyncGenerator[str]:
    serving = service.over_http() if request.param == "http" else service.over_nats(tmp_path)
    async with serving as url:
        yield url


async def test_every_method_sends_its_operation_and_returns_its_reply(
    flavour: str, url: str, service: ScriptedService
) -> None:
    async with open_client(flavour, url, **TOKENS) as invoke:
        for accessor, method in METHODS:
            reply = await invoke(partial(method.call, accessor=accessor))
            request = service.requests[-1]
            assert reply == REPLIES[method.operation.reply]
            assert type(reply) is method.operation.reply
            scope = method.scope(accessor)
            assert (request.scope, request.operation) == (scope, method.operation.name)
            of_identity = scope is Scope.IDENTITY
            of_subnet = NETUID if method.operation.per_subnet else None
            assert request.netuid == (service.netuid if of_identity else of_subnet)
            assert request.params == method.params
            assert request.identity == (IDENTITY if of_identity else None)
            assert (request.idempotency_key is not None) is (method.operation.method in WRITING)
            assert 50 < request.timeout_s <= 60
    assert len(service.requests) == len(METHODS)
    assert service.identity_reads == (1 if url.startswith("http") else 0)


async def test_retried_writes_keep_their_idempotency_key(
    flavour: str, url: str, service: ScriptedService
) -> None:
    """Possibly only the reply was lost: the service must know the write again."""
    writes = [method for _, method in METHODS if method.operation.method in WRITING]
    keys_used: list[str | None] = []
    async with open_client(flavour, url, **TOKENS) as invoke:
        for method in writes:
            service.requests.clear()
            service.failures = [
                FailureError(ErrorCode.NATS_UNAVAILABLE, "Down."),
                FailureError(ErrorCode.CHAIN_TIMEOUT, "Late."),
            ]
            await invoke(partial(method.call, accessor="identity"))
            keys = [request.idempotency_key for request in service.requests]
            assert (len(keys), len(set(keys))) == (3, 1), method.name
            keys_used.append(keys[0])
        key = "mine"
        await invoke(lambda c: c.identity.put_weights({HOTKEY: Weight(1)}, idempotency_key=key))
        assert service.requests[-1].idempotency_key == key
    assert len(writes) == len(set(keys_used) - {None}) == 5


@pytest.mark.parametrize("key", ["", " x", "x ", "two\nlines", "\u00e9", "x" * 256])
async def test_an_invalid_idempotency_key_is_rejected_before_sending(
    flavour: str, url: str, service: ScriptedService, key: str
) -> None:
    writes: list[Callable[[Any], Any]] = [
        lambda c: c.identity.put_weights({HOTKEY: Weight(1)}, idempotency_key=key),
        lambda c: c.identity.put_weights({HOTKEY: Weight(1)}, MechanismId(1), idempotency_key=key),
        lambda c: c.identity.set_commitment("00", idempotency_key=key),
        lambda c: c.identity.set_revealed_commitment("x", idempotency_key=key),
        lambda c: c.identity.generate_certificate(idempotency_key=key),
    ]
    async with open_client(flavour, url, **TOKENS) as invoke:
        for write in writes:
            with pytest.raises(ValueError, match="an idempotency key should be 1 to 255"):
                await invoke(write)
    assert service.requests == []


async def test_a_write_without_a_reply_keeps_its_idempotency_key(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.silent = True
    fields = {**TOKENS, "timeout": PylonTimeout(read=0.3)}
    async with open_client(flavour, url, **fields) as invoke:
        with pytest.raises(PylonTimeoutException):
            await invoke(lambda c: c.identity.put_weights({HOTKEY: Weight(1)}))
    keys = [request.idempotency_key for request in service.requests]
    assert (len(keys), len(set(keys))) == (3, 1)


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_a_failure_is_the_same_exception_over_both_transports(
    url: str, service: ScriptedService, code: ErrorCode
) -> None:
    expected = {
        308: PylonNetuidMismatch,
        401: PylonUnauthorized,
        403: PylonForbidden,
        404: PylonNotFound,
        429: PylonRateLimited,
        502: PylonBadGateway,
        503: PylonUnavailable,
        504: PylonTimeoutException,
    }
    kind = FAILURE_KINDS[code]
    tries = 3 if kind.retryable else 1
    service.failures = [FailureError(code, "Because.") for _ in range(tries)]
    async with open_client("async", url, **TOKENS) as invoke:
        with pytest.raises(BasePylonException) as caught:
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    error = caught.value
    assert type(error) is expected.get(kind.http_status, PylonResponseException)
    assert (error.code, error.detail) == (code, "Because.")
    assert (error.status_code, error.retryable) == (kind.http_status, kind.retryable)
    assert len(service.requests) == tries
    if isinstance(error, PylonTimeoutException):
        assert error.reason is TimeoutReason.GATEWAY_TIMEOUT


@pytest.mark.parametrize(
    ("status", "kind"), [(503, PylonUnavailable), (500, PylonResponseException)]
)
async def test_a_failure_of_a_newer_service_keeps_its_code(
    url: str, service: ScriptedService, status: int, kind: type[BasePylonException]
) -> None:
    newer = UnknownCodeFailure(
        newer_code="NEW", newer_status=status, detail="Because.", retryable=True
    )
    service.failures = [FailureError.from_failure(newer) for _ in range(3)]
    async with open_client("async", url, **TOKENS) as invoke:
        with pytest.raises(BasePylonException) as caught:
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.detail) == ("NEW", "Because.")
    assert (error.status_code, error.retryable) == (status, True)
    assert len(service.requests) == 3


async def test_retryable_failures_are_retried(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.failures = [
        FailureError(ErrorCode.CHAIN_UNAVAILABLE, "Down."),
        FailureError(ErrorCode.OVERLOADED, "Busy."),
    ]
    async with open_client(flavour, url, **TOKENS) as invoke:
        reply = await invoke(lambda c: c.identity.get_latest_neurons())
    assert len(reply.neurons) == 5
    assert len(service.requests) == 3


async def test_failures_until_a_block_are_not_retried(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.failures = [
        FailureError(ErrorCode.RATE_LIMITED, "Too soon.", retry_at_block=BlockNumber(4_400))
    ]
    async with open_client(flavour, url, **TOKENS) as invoke:
        with pytest.raises(PylonRateLimited, match="Too soon") as caught:
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert caught.value.retryable
    assert caught.value.retry_at_block == 4_400
    assert len(service.requests) == 1


async def test_all_errors_in_a_request_are_reported(url: str, service: ScriptedService) -> None:
    item = InvalidItem(message="Too high.", key="block_number")
    service.failures = [FailureError(ErrorCode.INVALID, "Refused.", extra=[item])]
    async with open_client("async", url, **TOKENS) as invoke:
        with pytest.raises(
            PylonResponseException, match=r"Refused\.; block_number: Too high\."
        ) as it:
            await invoke(lambda c: c.open_access.get_neurons(NETUID, BLOCK_NUMBER))
    assert list(it.value.invalid) == [item]


async def test_open_access_without_a_token_accepts_any_token(
    service: ScriptedService, tmp_path: Path
) -> None:
    """Over NATS alone: over HTTP it is the bridge that does not look at the token."""
    authorization = AUTHORIZATION.replace(OPEN_TOKEN, "") + "no_auth_user: open\n"
    async with NatsServer(tmp_path, authorization) as server, service.worker(server.url):
        for fields in ({"open_access_token": "any"}, {}):
            async with open_client("async", server.url, **fields) as invoke:
                await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert len(service.requests) == 2


async def test_an_identity_without_an_open_access_token_reads_with_open_access(
    service: ScriptedService, tmp_path: Path
) -> None:
    only_identity = {"identity_name": IDENTITY, "identity_token": IDENTITY_TOKEN}
    async with (
        service.over_nats(tmp_path) as url,
        open_client("async", url, **only_identity) as invoke,
    ):
        await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert service.requests[0].scope is Scope.OPEN
    async with service.over_http() as url, open_client("async", url, **only_identity) as invoke:
        await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert service.requests[1].scope is Scope.OPEN


async def test_the_client_reconnects_to_a_restarted_nats_server(
    flavour: str, service: ScriptedService, tmp_path: Path
) -> None:
    async with (
        NatsServer(tmp_path, AUTHORIZATION) as server,
        service.worker(server.url),
        open_client(flavour, server.url, **TOKENS) as invoke,
    ):
        await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
        await server.kill()
        with pytest.raises(PylonRequestException):
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
        await server.start()
        async with asyncio.timeout(HANGS_AFTER_S):
            while True:
                with contextlib.suppress(PylonRequestException, PylonUnavailable):
                    await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
                    break
                await asyncio.sleep(0.05)


async def test_a_silent_service_is_a_timeout(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.silent = True
    retries = DEFAULT_RETRIES if flavour == "sync" else ASYNC_DEFAULT_RETRIES
    fields = {
        **TOKENS,
        "timeout": PylonTimeout(read=0.3),
        "retry": retries.copy(stop=stop_after_attempt(1)),
    }
    async with open_client(flavour, url, **fields) as invoke:
        with pytest.raises(PylonTimeoutException) as caught:
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert caught.value.reason is TimeoutReason.READ
    assert caught.value.timeout_seconds == 0.3
    assert service.requests[0].timeout_s <= 0.3


async def test_missing_credentials_are_unauthorized_and_wrong_ones_forbidden(
    flavour: str, url: str, service: ScriptedService
) -> None:
    async with open_client(flavour, url) as invoke:
        with pytest.raises(PylonUnauthorized):
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
    wrong = {"open_access_token": "wr0ng", "identity_name": IDENTITY, "identity_token": "wr0ng"}
    async with open_client(flavour, url, **wrong) as invoke:
        for call in (
            lambda c: c.open_access.get_latest_neurons(NETUID),
            lambda c: c.identity.get_latest_neurons(),
        ):
            with pytest.raises(PylonForbidden) as caught:
                await invoke(call)
            assert "wr0ng" not in f"{caught.value!r} {caught.value}"
    assert service.requests == []


async def test_an_unreachable_service_is_a_request_exception(flavour: str) -> None:
    for scheme in ("http", "nats"):
        async with open_client(flavour, f"{scheme}://127.0.0.1:1", **TOKENS) as invoke:
            with pytest.raises(PylonRequestException) as caught:
                await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
        assert caught.value.retryable


async def test_concurrent_calls_share_one_client(
    flavour: str, url: str, service: ScriptedService
) -> None:
    async with open_client(flavour, url, **TOKENS) as invoke:
        replies = await asyncio.gather(
            *(invoke(lambda c: c.identity.get_latest_neurons()) for _ in range(50)),
            *(invoke(lambda c: c.open_access.get_latest_neurons(NETUID)) for _ in range(50)),
        )
    assert len(replies) == len(service.requests) == 100
    assert service.identity_reads <= 1


async def test_closing_ends_calls_in_progress(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.silent = True
    async with open_client(flavour, url, **TOKENS) as invoke:
        call = asyncio.ensure_future(invoke(lambda c: c.open_access.get_latest_neurons(NETUID)))
        async with asyncio.timeout(HANGS_AFTER_S):
            while not service.requests:
                await asyncio.sleep(0.01)
        await invoke(lambda c: c.close())
        with pytest.raises(PylonClosed):
            await call
        with pytest.raises(PylonClosed):
            await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
        await invoke(lambda c: c.open())
        service.silent = False
        await invoke(lambda c: c.open_access.get_latest_neurons(NETUID))
