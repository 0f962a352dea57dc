"""What both clients promise whatever the transport, on the fake that users get for their tests."""

import asyncio
import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tenacity import RetryCallState, stop_after_attempt, wait_none

from pylon_client._async.identity import AsyncIdentity
from pylon_client._async.open_access import AsyncOpenAccess
from pylon_client._sync.identity import Identity
from pylon_client._sync.open_access import OpenAccess
from pylon_client.contract.operations import Scope
from pylon_client.contract.ss58 import is_address
from pylon_client.retry import is_worth_retrying
from pylon_client.testing import (
    FakePylon,
    operations,
    sample_block_info,
    sample_neuron,
    sample_neurons,
    writes,
)
from pylon_client.transport import OperationCall
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    AsyncConfig,
    AsyncPylonClient,
    BlockNumber,
    Config,
    ErrorCode,
    JobId,
    NetUid,
    PylonBadGateway,
    PylonClient,
    PylonClosed,
    PylonMisconfigured,
    PylonNotFound,
    PylonUnavailable,
    SetWeightsResponse,
    Weight,
)
from tests.support.product.client_methods import METHODS, all_rows

SECOND = "5DTM9kooMWy5RHoH1fJ5feZ78zVpyRC8u45ni2gBw3pA44xB"
"""The hotkey of the sample with uid 1."""


@pytest.fixture
def pylon() -> FakePylon:
    pylon = FakePylon()
    pylon.answer(operations.LATEST_NEURONS, sample_neurons(count=2))
    return pylon


async def test_the_async_client_is_closed_outside_its_block(pylon: FakePylon) -> None:
    client = pylon.async_client()
    with pytest.raises(PylonClosed):
        await client.open_access.get_latest_neurons(NetUid(1))
    async with client:
        assert client.is_open
        await client.open_access.get_latest_neurons(NetUid(1))
    with pytest.raises(PylonClosed):
        await client.open_access.get_latest_neurons(NetUid(1))
    assert len(pylon.calls) == 1
    await client.open()
    await client.open()
    await client.identity.get_latest_neurons()
    await client.close()
    await client.close()
    assert not client.is_open


def test_the_sync_client_is_closed_outside_its_block(pylon: FakePylon) -> None:
    client = pylon.client()
    with pytest.raises(PylonClosed):
        client.open_access.get_latest_neurons(NetUid(1))
    with client:
        assert client.is_open
        client.open_access.get_latest_neurons(NetUid(1))
    with pytest.raises(PylonClosed):
        client.open_access.get_latest_neurons(NetUid(1))
    assert len(pylon.calls) == 1
    client.open()
    client.open()
    client.identity.get_latest_neurons()
    client.close()
    client.close()
    assert not client.is_open


async def test_identity_calls_need_an_identity(pylon: FakePylon) -> None:
    nobody = {"identity_name": None, "identity_token": None}
    async with pylon.async_client(**nobody) as client:
        with pytest.raises(PylonMisconfigured, match="identity_name and identity_token"):
            await client.identity.get_latest_neurons()
    with (
        pylon.client(**nobody) as sync_client,
        pytest.raises(PylonMisconfigured, match="identity_name and identity_token"),
    ):
        sync_client.identity.get_latest_neurons()
    assert pylon.calls == []


def test_each_client_takes_its_own_configuration_alone() -> None:
    address = "http://pylon.invalid"
    with pytest.raises(PylonMisconfigured, match=r"type Config, not AsyncConfig"):
        PylonClient(AsyncConfig(address=address))  # pyright: ignore[reportArgumentType]
    with pytest.raises(PylonMisconfigured, match=r"type AsyncConfig, not Config"):
        AsyncPylonClient(Config(address=address))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("netuid", [-1, 65_536, "1", 1.0, None])
def test_a_netuid_that_is_none_is_refused_before_it_is_sent(pylon: FakePylon, netuid: Any) -> None:
    with pylon.client() as client, pytest.raises(ValueError, match=r"valid integer|equal to"):
        client.open_access.get_latest_neurons(netuid)
    assert pylon.calls == []


@pytest.mark.parametrize("block_number", [-1, 2**32, "1", True])
def test_a_block_number_that_is_none_is_refused(pylon: FakePylon, block_number: Any) -> None:
    with pylon.client() as client, pytest.raises(ValueError, match="block_number"):
        client.identity.get_neurons(block_number)
    assert pylon.calls == []


async def test_scripted_failures_come_first_and_are_retried_as_real_ones(pylon: FakePylon) -> None:
    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=2)
    async with pylon.async_client() as client:
        assert len((await client.open_access.get_latest_neurons(NetUid(5))).neurons) == 2
        assert [(call.scope, call.netuid) for call in pylon.calls] == [(Scope.OPEN, 5)] * 3
        pylon.fail(operations.LATEST_NEURONS, PylonUnavailable(detail="Gone."), times=None)
        for _ in range(2):
            with pytest.raises(PylonUnavailable, match=r"Gone\."):
                await client.open_access.get_latest_neurons(NetUid(5))
        assert len(pylon.calls) == 5


async def test_retries_can_be_switched_off_as_the_readme_says(pylon: FakePylon) -> None:
    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=None)
    retry = ASYNC_DEFAULT_RETRIES.copy(stop=stop_after_attempt(1))
    async with pylon.async_client(retry=retry) as client:
        with pytest.raises(Exception, match="A test said so"):
            await client.open_access.get_latest_neurons(NetUid(1))
    assert len(pylon.calls) == 1


def test_answers_may_depend_on_the_call_and_unknown_ones_are_loud(pylon: FakePylon) -> None:
    def answer(call: OperationCall[Any]) -> Any:
        if call.netuid == 9:
            raise PylonNotFound(detail="No such subnet.")
        return sample_neurons(count=call.netuid or 0)

    pylon.answer(operations.LATEST_NEURONS, answer)
    pylon.answer(operations.LATEST_BLOCK, sample_block_info(7))
    with pylon.client() as client:
        assert client.open_access.get_latest_block_info().timestamp == 1_700_000_084
        assert len(client.open_access.get_latest_neurons(NetUid(4)).neurons) == 4
        with pytest.raises(PylonNotFound, match="No such subnet"):
            client.open_access.get_latest_neurons(NetUid(9))
        with pytest.raises(LookupError, match=r"neurons\.at"):
            client.open_access.get_neurons(NetUid(1), BlockNumber(2))
    with pytest.raises(TypeError, match=r"neurons\.latest replies SubnetNeurons, not BlockInfo"):
        pylon.answer(operations.LATEST_NEURONS, sample_block_info())
    assert sample_neuron(3, rank=0.25).rank == 0.25


def test_what_a_sample_has_can_be_written_for_and_is_the_same_in_every_run(
    pylon: FakePylon,
) -> None:
    done = SetWeightsResponse(count=2, job_id=JobId("a" * 26))
    pylon.answer(writes.PUT_WEIGHTS, done)
    with pylon.client() as client:
        neurons = client.identity.get_latest_neurons().neurons
        assert client.identity.put_weights(dict.fromkeys(neurons, Weight(1.0))) == done
    assert sample_neuron(1).hotkey == list(neurons)[1] == SECOND
    keys = {key for neuron in neurons.values() for key in (neuron.hotkey, neuron.coldkey)}
    assert len(keys) == 4
    assert all(map(is_address, keys))


async def test_concurrent_calls_each_have_their_own_attempts(pylon: FakePylon) -> None:
    async def decide_slowly(state: RetryCallState) -> bool:
        await asyncio.sleep(0)
        error = state.outcome.exception() if state.outcome else None
        return error is not None and is_worth_retrying(error)

    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=None)
    retry = ASYNC_DEFAULT_RETRIES.copy(wait=wait_none(), retry=decide_slowly)
    async with pylon.async_client(retry=retry) as client:
        outcomes = await asyncio.gather(
            *(client.open_access.get_latest_neurons(NetUid(1)) for _ in range(20)),
            return_exceptions=True,
        )
    assert [type(outcome) for outcome in outcomes] == [PylonBadGateway] * 20
    assert len(pylon.calls) == 60


def test_concurrent_threads_each_have_their_own_attempts(pylon: FakePylon) -> None:
    pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE, times=None)
    raised: list[str] = []
    with pylon.client() as client:

        def call() -> None:
            try:
                client.open_access.get_latest_neurons(NetUid(1))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted below
                raised.append(type(error).__name__)

        threads = [threading.Thread(target=call) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert raised == ["PylonBadGateway"] * 20
    assert len(pylon.calls) == 60


async def test_the_sync_client_leaves_the_callers_event_loop_alone(pylon: FakePylon) -> None:
    loop = asyncio.get_running_loop()
    with pylon.client() as client:
        client.open_access.get_latest_neurons(NetUid(1))
        assert asyncio.get_running_loop() is loop
    before = threading.active_count()
    assert not [t for t in threading.enumerate() if t.name == "pylon-client"]
    assert threading.active_count() == before


def test_a_client_that_cannot_be_opened_leaves_no_thread_behind() -> None:
    class Broken(FakePylon):
        async def open(self) -> None:
            raise OSError("no")

    client = Broken().client()
    with pytest.raises(OSError, match="no"):
        client.open()
    assert not client.is_open
    assert not [t for t in threading.enumerate() if t.name == "pylon-client"]


def run_to_its_end(script: str) -> str:
    """What a program prints that ends by itself and complains of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_an_open_sync_client_does_not_keep_the_interpreter_from_exiting() -> None:
    script = """
from pylon_client.testing import FakePylon, operations, sample_neurons
class Loud(FakePylon):
    async def close(self): print("closed", flush=True)
pylon = Loud()
pylon.answer(operations.LATEST_NEURONS, sample_neurons())
client = pylon.client()
client.open()
print(len(client.identity.get_latest_neurons().neurons), flush=True)
"""
    assert run_to_its_end(script).split() == ["3", "closed"]


@pytest.mark.parametrize(
    "use",
    [
        "for block in client.open_access.blocks(): used.set()",
        "client.identity.get_latest_neurons()",
    ],
)
def test_daemon_threads_that_use_a_client_end_quietly_with_the_interpreter(use: str) -> None:
    script = f"""
import asyncio, atexit, threading
from pylon_client.testing import FakePylon, sample_block_info
used = threading.Event()
class Slow(FakePylon):
    async def ask(self, call):
        used.set()
        await asyncio.Event().wait()
pylon = Slow()
pylon.publish(sample_block_info())
# What is registered first is called last: the thread has time to complain.
atexit.register(lambda: thread.join(30))
client = pylon.client()
client.open()
def use():
    try:
        {use}
    finally:
        print("ended", flush=True)
thread = threading.Thread(target=use, daemon=True)
thread.start()
used.wait()
"""
    assert run_to_its_end(script) == "ended\n"


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [
        (AsyncOpenAccess, OpenAccess),
        (AsyncIdentity, Identity),
        (AsyncPylonClient, PylonClient),
    ],
)
def test_both_flavours_have_the_same_methods(asynchronous: type, synchronous: type) -> None:
    def signatures(kind: type) -> dict[str, str]:
        return {
            name: re.sub("Async(Generator|Client)", r"\1", str(inspect.signature(method)))
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    def docs(kind: type) -> dict[str, str | None]:
        return {name: inspect.getdoc(getattr(kind, name)) for name in signatures(kind)}

    assert signatures(asynchronous) == signatures(synchronous)
    assert all(docs(synchronous).values())
    if asynchronous is not AsyncPylonClient:
        assert docs(asynchronous) == docs(synchronous)
        for name in signatures(asynchronous):
            is_stream = "Generator" in signatures(asynchronous)[name]
            assert inspect.iscoroutinefunction(getattr(asynchronous, name)) is not is_stream
            assert not inspect.iscoroutinefunction(getattr(synchronous, name))


def test_the_configurations_differ_in_their_retries_alone() -> None:
    assert list(AsyncConfig.model_fields) == list(Config.model_fields)


def test_the_blocking_modules_are_as_they_would_be_made_now() -> None:
    script = Path(__file__).parents[3] / "scripts" / "blocking_client.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_whatever_the_contract_defines_has_a_method_and_each_method_a_test() -> None:
    assert {method.operation.name for _, method in METHODS} == all_rows()
    for accessor, kind in (("open_access", AsyncOpenAccess), ("identity", AsyncIdentity)):
        public = {
            name
            for name, _ in inspect.getmembers(kind, inspect.iscoroutinefunction)
            if not name.startswith("_")
        }
        assert public == {method.name for of, method in METHODS if of == accessor}
    in_scopes = {(method.operation.name, method.scope(of)) for of, method in METHODS}
    for _, method in METHODS:
        for scope in method.operation.scopes:
            assert (method.operation.name, scope) in in_scopes
