"""The number of the project's functions that a read passes, from its arrival to its source."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import pylon.chain.subtensor_reader
from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.chain.archive_routing import RoutedChain
from pylon.chain.chain_reader import ChainReader
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.reads.read_handlers import ReadHandlers
from pylon.reads.recent_neurons import RecentNeurons
from pylon.rpc.request_server import RequestServer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_connection import connect
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk
from tests.support.nats.fake_nats_client import client_of, message
from tests.support.product.eventually import eventually

if TYPE_CHECKING:
    from types import FrameType

ROOT = Path(__file__).parents[3]
PRODUCT = tuple(str(ROOT / package) for package in ("pylon", "pylon_client", "bridge"))
TRACKED, UNTRACKED = NetUid(1), NetUid(7)
HEAD = BlockNumber(50)
MAX_FUNCTIONS_TO_SNAPSHOT = 4
MAX_FUNCTIONS_TO_SDK = 15

pytestmark = pytest.mark.usefixtures("fake_nats")

_callers: dict[asyncio.Task[Any], list[str]] = {}


def functions_on_the_way() -> list[str]:
    """Return the product's functions that wait for this call, also those in other tasks."""
    frame: FrameType | None = sys._getframe(1)
    found: list[str] = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PRODUCT):
            found.append(frame.f_code.co_qualname)
        frame = frame.f_back
    task = asyncio.current_task()
    return [*(_callers.get(task, []) if task is not None else []), *reversed(found)]


def _task_of(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    callers = functions_on_the_way()
    task = asyncio.Task(work, loop=loop, **options)
    _callers[task] = callers
    return task


class RecordingSnapshots(Snapshots):
    """Records the functions on the way to a snapshot."""

    functions: list[str]

    def get_fresh(self, subject: str) -> Snapshot | None:
        self.functions = [*functions_on_the_way(), "Snapshots.get_fresh"]
        return super().get_fresh(subject)


class RecordingSdk(ScriptedSdk):
    """Records the functions on the way to the SDK, and fails."""

    functions: list[str]

    async def runtime_answer(self, *_arguments: Any) -> Any:
        RecordingSdk.functions = functions_on_the_way()
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "it was reached")


async def read_neurons(netuid: NetUid, monkeypatch: pytest.MonkeyPatch) -> RecordingSnapshots:
    """Send a request for the latest neurons to a worker's request server."""
    monkeypatch.setattr(pylon.chain.subtensor_reader, "Substrate", lambda *_: RecordingSdk())
    asyncio.get_running_loop().set_task_factory(cast("Any", _task_of))
    snapshots = RecordingSnapshots(max_silence_s=36.0, clock_s=lambda: 0.0)
    for subject in (BlockEventSubject(), NeuronsEventSubject(TRACKED)):
        snapshots.put(str(subject), Snapshot(block_of(HEAD), b"{}"))
    snapshots.observe_head(HEAD)
    chain = RoutedChain(SubtensorReader("ws://127.0.0.1:9"), None, cutoff_blocks=300)
    recent = RecentNeurons(snapshots, [TRACKED], hard_limit_blocks=10, block_duration_s=12)
    connection = await connect(ConnectionOptions(urls=("nats://127.0.0.1:4222",)))
    server = RequestServer(connection, identities={}, max_requests=10)
    ReadHandlers(
        snapshots, ChainReader(chain, chain_timeout_s=30), recent, identities={}, addresses={}
    ).register(server)
    chain.observe_head(HEAD)
    await server._handle(
        message(f"pylon.v1.open.{netuid}.neurons.latest", reply="_INBOX.open.x"),
        server._admission.admit("open"),
    )
    await eventually(lambda: client_of(connection).published)
    await chain.close()
    asyncio.get_running_loop().set_task_factory(None)
    return snapshots


async def test_a_read_of_a_tracked_subnet_reaches_its_snapshot_in_few_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshots = await read_neurons(TRACKED, monkeypatch)
    functions = snapshots.functions
    assert functions[0] == "RequestServer._handle"
    assert len(functions) <= MAX_FUNCTIONS_TO_SNAPSHOT, functions


async def test_a_read_of_another_subnet_reaches_the_sdk_in_few_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await read_neurons(UNTRACKED, monkeypatch)
    functions = RecordingSdk.functions
    assert (functions[0], functions[-1]) == ("RequestServer._handle", "Neurons.execute")
    assert len(functions) <= MAX_FUNCTIONS_TO_SDK, functions
