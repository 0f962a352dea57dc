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

Ask = Callable[[Callable[[Any], Any]], Awaitable[Any]]
TOKENS = {
    "open_access_token": OPEN_TOKEN,
    "identity_name": IDENTITY,
    "identity_token": IDENTITY_TOKEN,
}


WRITING = {"PUT", "POST"}


@asynccontextmanager
async def asking(flavour: str, url: str, **fields: Any) -> AsyncGenerator[Ask]:
    """Return a function that sends one call through an open client."""
    if flavour == "async":
        fields = {"retry": ASYNC_DEFAULT_RETRIES.copy(wait=wait_none()), **fields}
        async with AsyncPylonClient(AsyncConfig(address=url, **fields)) as client:

            async def ask(call: Callable[[Any], Any]) -> Any:
                return await call(client)

            yield ask
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
    async with asking(flavour, url, **TOKENS) as ask:
        for accessor, method in METHODS:
            reply = await ask(partial(method.call, accessor=accessor))
            asked = service.asked[-1]
            assert reply == REPLIES[method.operation.reply]
            assert type(reply) is method.operation.reply
            scope = method.scope(accessor)
            assert (asked.scope, asked.operation) == (scope, method.operation.name)
            of_identity = scope is Scope.IDENTITY
            of_subnet = NETUID if method.operation.per_subnet else None
            assert asked.netuid == (service.netuid if of_identity else of_subnet)
            assert asked.params == method.params
            assert asked.identity == (IDENTITY if of_identity else None)
            assert (asked.idempotency_key is not None) is (method.operation.method in WRITING)
            assert 50 < asked.timeout_s <= 60
    assert len(service.asked) == len(METHODS)
    assert service.identities_asked == (1 if url.startswith("http") else 0)


async def test_retried_writes_keep_their_idempotency_key(
    flavour: str, url: str, service: ScriptedService
) -> None:
    """Possibly only the reply was lost: the service must know the write again."""
    writes = [method for _, method in METHODS if method.operation.method in WRITING]
    made: list[str | None] = []
    async with asking(flavour, url, **TOKENS) as ask:
        for method in writes:
            service.asked.clear()
            service.failures = [
                FailureError(ErrorCode.NATS_UNAVAILABLE, "Down."),
                FailureError(ErrorCode.CHAIN_TIMEOUT, "Late."),
            ]
            await ask(partial(method.call, accessor="identity"))
            keys = [asked.idempotency_key for asked in service.asked]
            assert (len(keys), len(set(keys))) == (3, 1), method.name
            made.append(keys[0])
        given = "mine"
        await ask(lambda c: c.identity.put_weights({HOTKEY: Weight(1)}, idempotency_key=given))
        assert service.asked[-1].idempotency_key == given
    assert len(writes) == len(set(made) - {None}) == 5


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
    async with asking(flavour, url, **TOKENS) as ask:
        for write in writes:
            with pytest.raises(ValueError, match="an idempotency key should be 1 to 255"):
                await ask(write)
    assert service.asked == []


async def test_a_write_without_a_reply_keeps_its_idempotency_key(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.silent = True
    fields = {**TOKENS, "timeout": PylonTimeout(read=0.3)}
    async with asking(flavour, url, **fields) as ask:
        with pytest.raises(PylonTimeoutException):
            await ask(lambda c: c.identity.put_weights({HOTKEY: Weight(1)}))
    keys = [asked.idempotency_key for asked in service.asked]
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
    async with asking("async", url, **TOKENS) as ask:
        with pytest.raises(BasePylonException) as caught:
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    error = caught.value
    assert type(error) is expected.get(kind.http_status, PylonResponseException)
    assert (error.code, error.detail) == (code, "Because.")
    assert (error.status_code, error.retryable) == (kind.http_status, kind.retryable)
    assert len(service.asked) == tries
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
    async with asking("async", url, **TOKENS) as ask:
        with pytest.raises(BasePylonException) as caught:
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.detail) == ("NEW", "Because.")
    assert (error.status_code, error.retryable) == (status, True)
    assert len(service.asked) == 3


async def test_retryable_failures_are_retried(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.failures = [
        FailureError(ErrorCode.CHAIN_UNAVAILABLE, "Down."),
        FailureError(ErrorCode.OVERLOADED, "Busy."),
    ]
    async with asking(flavour, url, **TOKENS) as ask:
        reply = await ask(lambda c: c.identity.get_latest_neurons())
    assert len(reply.neurons) == 5
    assert len(service.asked) == 3


async def test_failures_until_a_block_are_not_retried(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.failures = [
        FailureError(ErrorCode.RATE_LIMITED, "Too soon.", retry_at_block=BlockNumber(4_400))
    ]
    async with asking(flavour, url, **TOKENS) as ask:
        with pytest.raises(PylonRateLimited, match="Too soon") as caught:
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert caught.value.retryable
    assert caught.value.retry_at_block == 4_400
    assert len(service.asked) == 1


async def test_all_errors_in_a_request_are_reported(url: str, service: ScriptedService) -> None:
    item = InvalidItem(message="Too high.", key="block_number")
    service.failures = [FailureError(ErrorCode.INVALID, "Refused.", extra=[item])]
    async with asking("async", url, **TOKENS) as ask:
        with pytest.raises(
            PylonResponseException, match=r"Refused\.; block_number: Too high\."
        ) as it:
            await ask(lambda c: c.open_access.get_neurons(NETUID, BLOCK_NUMBER))
    assert list(it.value.invalid) == [item]


async def test_open_access_without_a_token_accepts_any_token(
    service: ScriptedService, tmp_path: Path
) -> None:
    """Over NATS alone: over HTTP it is the bridge that does not look at the token."""
    authorization = AUTHORIZATION.replace(OPEN_TOKEN, "") + "no_auth_user: open\n"
    async with NatsServer(tmp_path, authorization) as server, service.worker(server.url):
        for fields in ({"open_access_token": "any"}, {}):
            async with asking("async", server.url, **fields) as ask:
                await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert len(service.asked) == 2


async def test_an_identity_without_an_open_access_token_reads_with_open_access(
    service: ScriptedService, tmp_path: Path
) -> None:
    only_identity = {"identity_name": IDENTITY, "identity_token": IDENTITY_TOKEN}
    async with service.over_nats(tmp_path) as url, asking("async", url, **only_identity) as ask:
        await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert service.asked[0].scope is Scope.OPEN
    async with service.over_http() as url, asking("async", url, **only_identity) as ask:
        await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert service.asked[1].scope is Scope.OPEN


async def test_the_client_reconnects_to_a_restarted_nats_server(
    flavour: str, service: ScriptedService, tmp_path: Path
) -> None:
    async with (
        NatsServer(tmp_path, AUTHORIZATION) as server,
        service.worker(server.url),
        asking(flavour, server.url, **TOKENS) as ask,
    ):
        await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
        await server.kill()
        with pytest.raises(PylonRequestException):
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
        await server.start()
        async with asyncio.timeout(HANGS_AFTER_S):
            while True:
                with contextlib.suppress(PylonRequestException, PylonUnavailable):
                    await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
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
    async with asking(flavour, url, **fields) as ask:
        with pytest.raises(PylonTimeoutException) as caught:
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    assert caught.value.reason is TimeoutReason.READ
    assert caught.value.timeout_seconds == 0.3
    assert service.asked[0].timeout_s <= 0.3


async def test_missing_credentials_are_unauthorized_and_wrong_ones_forbidden(
    flavour: str, url: str, service: ScriptedService
) -> None:
    async with asking(flavour, url) as ask:
        with pytest.raises(PylonUnauthorized):
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
    wrong = {"open_access_token": "wr0ng", "identity_name": IDENTITY, "identity_token": "wr0ng"}
    async with asking(flavour, url, **wrong) as ask:
        for call in (
            lambda c: c.open_access.get_latest_neurons(NETUID),
            lambda c: c.identity.get_latest_neurons(),
        ):
            with pytest.raises(PylonForbidden) as caught:
                await ask(call)
            assert "wr0ng" not in f"{caught.value!r} {caught.value}"
    assert service.asked == []


async def test_an_unreachable_service_is_a_request_exception(flavour: str) -> None:
    for scheme in ("http", "nats"):
        async with asking(flavour, f"{scheme}://127.0.0.1:1", **TOKENS) as ask:
            with pytest.raises(PylonRequestException) as caught:
                await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
        assert caught.value.retryable


async def test_concurrent_calls_share_one_client(
    flavour: str, url: str, service: ScriptedService
) -> None:
    async with asking(flavour, url, **TOKENS) as ask:
        replies = await asyncio.gather(
            *(ask(lambda c: c.identity.get_latest_neurons()) for _ in range(50)),
            *(ask(lambda c: c.open_access.get_latest_neurons(NETUID)) for _ in range(50)),
        )
    assert len(replies) == len(service.asked) == 100
    assert service.identities_asked <= 1


async def test_closing_ends_calls_in_progress(
    flavour: str, url: str, service: ScriptedService
) -> None:
    service.silent = True
    async with asking(flavour, url, **TOKENS) as ask:
        call = asyncio.ensure_future(ask(lambda c: c.open_access.get_latest_neurons(NETUID)))
        async with asyncio.timeout(HANGS_AFTER_S):
            while not service.asked:
                await asyncio.sleep(0.01)
        await ask(lambda c: c.close())
        with pytest.raises(PylonClosed):
            await call
        with pytest.raises(PylonClosed):
            await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
        await ask(lambda c: c.open())
        service.silent = False
        await ask(lambda c: c.open_access.get_latest_neurons(NETUID))
