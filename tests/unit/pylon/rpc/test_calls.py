"""Calls, and their execution by a table of handlers."""

import asyncio
from typing import Any

import pytest

from pylon.common.admission import OPEN_CALLER, Admission
from pylon.rpc.calls import CallResult, HandlerTable, ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block
from pylon_client.contract.operations import NoParams, Scope
from pylon_client.contract.reads import LATEST_NEURONS
from pylon_client.contract.types import BlockHash, BlockNumber, IdentityName, NetUid


def call_of(**fields: Any) -> ServiceCall[Any]:
    defaults: dict[str, Any] = {
        "operation": LATEST_NEURONS.name,
        "scope": Scope.OPEN,
        "netuid": NetUid(1),
        "identity": None,
        "params": NoParams(),
        "timeout_s": 60.0,
        "request_id": "find-me",
    }
    return ServiceCall(**{**defaults, **fields})


async def hang(_call: ServiceCall[Any]) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets the event")


async def failure_of(table: HandlerTable, call: ServiceCall[Any]) -> FailureError:
    with pytest.raises(FailureError) as caught:
        await table.execute(call)
    return caught.value


def test_a_call_has_the_subnet_and_the_identity_that_its_operation_needs() -> None:
    call = call_of(identity=IdentityName("alice"))
    assert (call.subnet, call.caller_identity) == (1, "alice")
    with pytest.raises(TypeError, match="no subnet"):
        _ = call_of(netuid=None).subnet
    with pytest.raises(TypeError, match="needs an identity"):
        _ = call_of().caller_identity


def test_a_waiting_call_releases_its_permit() -> None:
    admission = Admission(2, [OPEN_CALLER])
    call = call_of(permit=admission.admit(OPEN_CALLER))
    with call.without_permit():
        assert admission.waiting == 1
    assert admission.waiting == 0
    with call_of(permit=None).without_permit():
        assert admission.waiting == 0


async def test_a_call_is_executed_by_the_handler_of_its_operation() -> None:
    table = HandlerTable()
    calls: list[ServiceCall[Any]] = []

    async def handler(call: ServiceCall[NoParams]) -> bytes:
        calls.append(call)
        return b"{}"

    table.add(LATEST_NEURONS, handler)
    call = call_of()
    assert await table.execute(call) == CallResult(b"{}")
    assert calls == [call]


async def test_a_result_in_memory_is_returned_without_the_handler() -> None:
    table = HandlerTable()
    stored: list[CallResult] = [CallResult(b"stored")]

    async def handler(_call: ServiceCall[NoParams]) -> bytes:
        return b"executed"

    table.add(LATEST_NEURONS, handler)
    assert table.find_in_memory(call_of()) is None
    table.add_memory(LATEST_NEURONS, lambda _: stored.pop() if stored else None)
    assert (await table.execute(call_of())).body == b"stored"
    assert table.find_in_memory(call_of()) is None
    assert (await table.execute(call_of())).body == b"executed"


async def test_a_result_with_a_block_is_returned_unchanged() -> None:
    result = CallResult(b"{}", Block(number=BlockNumber(7), hash=BlockHash("0x07")), {"A": "b"})
    table = HandlerTable()

    async def handler(_call: ServiceCall[NoParams]) -> CallResult:
        return result

    table.add(LATEST_NEURONS, handler)
    assert await table.execute(call_of()) is result


async def test_a_call_without_a_handler_is_not_found() -> None:
    error = await failure_of(HandlerTable(), call_of())
    assert error.code is ErrorCode.NOT_FOUND
    assert "'neurons.latest'" in error.failure.detail


async def test_a_handler_is_cancelled_at_the_deadline() -> None:
    table = HandlerTable()
    table.add(LATEST_NEURONS, hang)
    assert (await failure_of(table, call_of(timeout_s=0))).code is ErrorCode.DEADLINE_EXCEEDED


async def test_a_failure_of_a_handler_passes_through() -> None:
    failure = FailureError(ErrorCode.RATE_LIMITED, "too soon")
    table = HandlerTable()

    async def handler(_call: ServiceCall[NoParams]) -> bytes:
        raise failure

    table.add(LATEST_NEURONS, handler)
    assert await failure_of(table, call_of()) is failure


@pytest.mark.parametrize("raised", [ZeroDivisionError("secret"), TimeoutError("secret")])
async def test_any_other_error_is_logged_with_the_id_and_not_returned(
    caplog: pytest.LogCaptureFixture, raised: Exception
) -> None:
    table = HandlerTable()

    async def handler(_call: ServiceCall[NoParams]) -> bytes:
        raise raised

    table.add(LATEST_NEURONS, handler)
    for _ in range(2):
        error = await failure_of(table, call_of())
        assert error.code is ErrorCode.INTERNAL
        assert "find-me" in error.failure.detail
        assert "secret" not in str(error)
    assert caplog.text.count("neurons.latest failed; request find-me") == 2
    assert caplog.text.count("Traceback") == 1
