"""The owner of a connection, with a client that the tests control."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bittensor.result import RpcConnectionError, RpcPolicyError

from pylon.chain.connection_timeouts import ConnectionTimeouts
from pylon.chain.node_connection import ConnectionOwner
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.product.eventually import HANGS_AFTER_S

PATIENT = ConnectionTimeouts(discard_after_silence_s=0.0, backoff_s=0.0)


class FakeClient:
    """A connection that counts concurrent calls of `recv`, and responds, hangs or fails."""

    def __init__(self, on_connect: Exception | None = None) -> None:
        self.on_connect = on_connect
        self.closed = asyncio.Event()
        self.in_recv = 0
        self.most_in_recv = 0
        self.silent = asyncio.Event()  # never set: a wait for it hangs

    async def connect(self) -> None:
        if self.on_connect is not None:
            raise self.on_connect

    async def close(self) -> None:
        self.closed.set()

    async def recv(self) -> str:
        self.in_recv += 1
        self.most_in_recv = max(self.most_in_recv, self.in_recv)
        await asyncio.sleep(0)
        self.in_recv -= 1
        return "answer"


class Clients:
    """Makes clients and remembers them; `plan` says how each of the first ones connects."""

    def __init__(self, *plan: Exception | None) -> None:
        self._plan = list(plan)
        self.made: list[FakeClient] = []

    def __call__(self) -> FakeClient:
        self.made.append(FakeClient(self._plan.pop(0) if self._plan else None))
        return self.made[-1]


def owner_of(
    clients: Callable[[], FakeClient], patience: ConnectionTimeouts = PATIENT
) -> ConnectionOwner[FakeClient]:
    return ConnectionOwner(
        clients, role="The chain node", endpoint_label="ws://node", timeouts=patience
    )


async def answer(client: FakeClient) -> str:
    return await client.recv()


async def hang(client: FakeClient) -> str:
    await client.silent.wait()
    return "never"


def fail_with(error: BaseException) -> Callable[[Any], Awaitable[str]]:
    async def fail(client: FakeClient) -> str:
        raise error

    return fail


async def failure_of(awaitable: Awaitable[object]) -> FailureError:
    with pytest.raises(FailureError) as caught:
        await awaitable
    return caught.value


async def test_concurrent_callers_share_one_connection() -> None:
    clients = Clients()
    owner = owner_of(clients)
    answers = await asyncio.gather(*(owner.call(answer, timeout_s=30) for _ in range(51)))
    assert answers == ["answer"] * 51
    assert len(clients.made) == owner.opened_count == 1
    await owner.close()


async def test_operations_in_flight_are_limited() -> None:
    clients = Clients()
    owner = owner_of(clients, ConnectionTimeouts(max_in_flight=3))
    await asyncio.gather(*(owner.call(answer, timeout_s=30) for _ in range(20)))
    assert clients.made[0].most_in_recv == 3
    await owner.close()


async def test_forced_reconnects_leave_one_open_connection() -> None:
    clients = Clients()
    owner = owner_of(clients)
    for _ in range(20):
        await owner.call(answer, timeout_s=30)
        owner.discard(await owner.connection())
    await owner.close()
    await asyncio.gather(*(client.closed.wait() for client in clients.made))
    assert len(clients.made) == 20


async def test_a_hanging_call_times_out_and_releases_its_limit() -> None:
    owner = owner_of(
        Clients(), ConnectionTimeouts(discard_after_silence_s=0.0, backoff_s=0.0, max_in_flight=1)
    )
    error = await failure_of(owner.call(hang, timeout_s=0.05))
    assert error.code is ErrorCode.CHAIN_TIMEOUT
    assert await owner.call(answer, timeout_s=30) == "answer"
    await owner.close()


async def test_a_hanging_connect_ends_at_the_timeout_of_each_caller() -> None:
    class Hanging(FakeClient):
        async def connect(self) -> None:
            await self.silent.wait()

    owner = owner_of(Hanging, ConnectionTimeouts(connect_s=30))
    assert (await failure_of(owner.call(answer, timeout_s=0.05))).code is ErrorCode.CHAIN_TIMEOUT
    await owner.close()


async def test_a_silent_connection_is_discarded() -> None:
    clients = Clients()
    owner = owner_of(clients)
    await owner.call(answer, timeout_s=30)
    await failure_of(owner.call(hang, timeout_s=0.05))
    await asyncio.wait_for(clients.made[0].closed.wait(), HANGS_AFTER_S)
    assert await owner.call(answer, timeout_s=30) == "answer"
    assert len(clients.made) == 2, "the silent connection is never used again"
    await owner.close()


async def test_other_calls_on_a_silent_connection_are_retried_on_the_next() -> None:
    clients = Clients()
    owner = owner_of(clients)

    async def hang_on_the_first(client: FakeClient) -> str:
        return await (hang(client) if client is clients.made[0] else answer(client))

    other = asyncio.create_task(owner.call(hang_on_the_first, timeout_s=30))
    await failure_of(owner.call(hang, timeout_s=0.05))
    assert await other == "answer"
    await owner.close()


async def test_an_operation_that_times_out_discards_the_connection() -> None:
    clients = Clients()
    owner = owner_of(clients, ConnectionTimeouts(operation_s=0.05, backoff_s=0.0))
    error = await failure_of(owner.call(hang, timeout_s=30))
    assert error.code is ErrorCode.CHAIN_TIMEOUT
    assert owner.discarded_count == 2, (
        "the read was tried on a fresh connection, which hung as well"
    )
    await owner.close()


async def test_a_blocked_close_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pylon.chain.client_closer.CLOSE_ATTEMPTS_S", (0.01, 30.0))

    class Deaf(FakeClient):
        closes = 0

        async def close(self) -> None:
            self.closes += 1
            if self.closes == 1:
                await self.silent.wait()
            await super().close()

    clients: list[Deaf] = []

    def make() -> Deaf:
        clients.append(Deaf())
        return clients[-1]

    owner = owner_of(make)
    await owner.call(answer, timeout_s=30)
    await owner.close(timeout_s=30)
    assert clients[0].closed.is_set()
    assert clients[0].closes == 2


async def test_a_broken_connection_is_closed_and_the_read_retried_on_a_new_one() -> None:
    clients = Clients()
    owner = owner_of(clients)

    async def fail_on_the_first(client: FakeClient) -> str:
        if client is clients.made[0]:
            raise RpcConnectionError("gone")
        return await answer(client)

    assert await owner.call(fail_on_the_first, timeout_s=30) == "answer"
    await asyncio.wait_for(clients.made[0].closed.wait(), HANGS_AFTER_S)
    await owner.close()


async def test_an_error_response_keeps_the_connection() -> None:
    clients = Clients()
    owner = owner_of(clients)
    error = await failure_of(owner.call(fail_with(ValueError("no such API")), timeout_s=30))
    assert error.code is ErrorCode.CHAIN_REJECTED
    await owner.call(answer, timeout_s=30)
    assert len(clients.made) == 1
    await owner.close()


async def test_a_read_is_retried_only_once() -> None:
    owner = owner_of(Clients())
    error = await failure_of(owner.call(fail_with(RpcConnectionError("gone")), timeout_s=30))
    assert error.code is ErrorCode.CHAIN_UNAVAILABLE
    assert owner.opened_count == 2
    await owner.close()


async def test_no_connection_is_opened_during_the_backoff() -> None:
    clients = Clients(*[OSError("refused")] * 5)
    owner = owner_of(clients, ConnectionTimeouts(backoff_s=600))
    for _ in range(50):
        error = await failure_of(owner.call(answer, timeout_s=30))
        assert error.code is ErrorCode.CHAIN_UNAVAILABLE
    assert len(clients.made) == 1
    await owner.close()


async def test_a_refused_handshake_starts_the_backoff() -> None:
    clients = Clients(*[RpcPolicyError("429", retry_after="120")] * 5)
    owner = owner_of(clients, ConnectionTimeouts(rate_limit_backoff_s=0.0))
    for _ in range(50):
        await failure_of(owner.call(answer, timeout_s=30))
    assert len(clients.made) == 1
    await owner.close()


async def test_a_rate_limited_call_starts_the_backoff() -> None:
    clients = Clients()
    owner = owner_of(clients, ConnectionTimeouts(rate_limit_backoff_s=600))
    calls = 0

    async def refused(client: FakeClient) -> str:
        nonlocal calls
        calls += 1
        raise RpcPolicyError("429")

    for _ in range(50):
        error = await failure_of(owner.call(refused, timeout_s=30))
        assert "refuses" in error.failure.detail
    assert (calls, len(clients.made)) == (1, 1)
    await owner.close()


async def test_a_connection_without_any_response_counts_as_a_failed_attempt() -> None:
    clients = Clients()
    owner = owner_of(clients, ConnectionTimeouts(backoff_s=600))
    for _ in range(10):
        await failure_of(owner.call(fail_with(RpcConnectionError("gone")), timeout_s=30))
    assert len(clients.made) == 1
    await owner.close()


async def test_a_cancelled_caller_does_not_affect_the_operation_or_the_connection() -> None:
    clients = Clients()
    owner = owner_of(clients)
    release = asyncio.Event()
    finished = asyncio.Event()

    async def slow(client: FakeClient) -> str:
        await release.wait()
        finished.set()
        return "late"

    caller = asyncio.create_task(owner.call(slow, timeout_s=30))
    await asyncio.sleep(0)
    await owner.call(answer, timeout_s=30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    release.set()
    await asyncio.wait_for(finished.wait(), HANGS_AFTER_S)
    assert await owner.call(answer, timeout_s=30) == "answer"
    assert len(clients.made) == 1
    await owner.close()


async def test_a_short_timeout_of_one_caller_does_not_discard_the_connection() -> None:
    clients = Clients()
    owner = owner_of(clients, ConnectionTimeouts(discard_after_silence_s=600))
    for _ in range(20):
        await failure_of(owner.call(hang, timeout_s=0.001))
    assert await owner.call(answer, timeout_s=30) == "answer"
    assert len(clients.made) == 1
    await owner.close()


async def test_an_operation_cancelled_by_the_sdk_is_not_a_cancelled_caller() -> None:
    owner = owner_of(Clients())
    # The SDK shares one future among callers, so one's cancellation reaches all of them.
    error = await failure_of(owner.call(fail_with(asyncio.CancelledError()), timeout_s=30))
    assert error.code is ErrorCode.CHAIN_UNAVAILABLE
    await owner.close()


async def test_after_close_nothing_is_opened_again() -> None:
    clients = Clients()
    owner = owner_of(clients)
    waiting = asyncio.create_task(owner.call(hang, timeout_s=30))
    await owner.call(answer, timeout_s=30)
    await owner.close()
    assert (await failure_of(waiting)).code is ErrorCode.SHUTTING_DOWN
    assert (await failure_of(owner.call(answer, timeout_s=1))).code is ErrorCode.SHUTTING_DOWN
    assert len(clients.made) == 1


async def test_a_connection_that_is_replaced_while_it_opens_is_opened_again() -> None:
    """Its genesis may have been checked before the state was bound to a chain."""

    class ReplacedWhileConnecting(FakeClient):
        async def connect(self) -> None:
            if len(made) == 1:
                owner.replace()

    made: list[FakeClient] = []

    def make_client() -> FakeClient:
        made.append(ReplacedWhileConnecting())
        return made[-1]

    owner = owner_of(make_client)
    assert await owner.call(answer, timeout_s=HANGS_AFTER_S) == "answer"
    first, second = made
    await asyncio.wait_for(first.closed.wait(), HANGS_AFTER_S)
    assert not second.closed.is_set()
    assert owner.opened_count == 1
