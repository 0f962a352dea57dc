"""Both clients, over the fake Pylon."""

import asyncio
import inspect
import re
import subprocess
import sys
import threading

import pytest

from pylon_client._async.identity import AsyncIdentity
from pylon_client._async.open_access import AsyncOpenAccess
from pylon_client._sync.identity import Identity
from pylon_client._sync.open_access import OpenAccess
from pylon_client.testing import (
    FakePylon,
    operations,
    sample_neurons,
)
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    Config,
    NetUid,
    PylonClient,
    PylonClosed,
)
from tests.support.product.client_methods import METHODS, all_rows


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


async def test_the_sync_client_does_not_use_the_callers_event_loop(pylon: FakePylon) -> None:
    loop = asyncio.get_running_loop()
    with pylon.client() as client:
        client.open_access.get_latest_neurons(NetUid(1))
        assert asyncio.get_running_loop() is loop
    before = threading.active_count()
    assert not [t for t in threading.enumerate() if t.name == "pylon-client"]
    assert threading.active_count() == before


def test_a_failed_open_leaves_no_thread() -> None:
    class Broken(FakePylon):
        async def open(self) -> None:
            raise OSError("no")

    client = Broken().client()
    with pytest.raises(OSError, match="no"):
        client.open()
    assert not client.is_open
    assert not [t for t in threading.enumerate() if t.name == "pylon-client"]


def run_to_its_end(script: str) -> str:
    """Run a program that must exit without errors; return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.integration  # another process
def test_an_open_sync_client_does_not_prevent_the_interpreters_exit() -> None:
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


@pytest.mark.integration  # another process
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
# Handlers run in reverse order: this one waits for the thread at the end.
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
def test_both_clients_have_the_same_methods(asynchronous: type, synchronous: type) -> None:
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


def test_both_configurations_have_the_same_fields() -> None:
    assert list(AsyncConfig.model_fields) == list(Config.model_fields)


def test_every_operation_has_a_method_and_every_method_a_test() -> None:
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
