"""Findings about the chain of the state."""

from collections.abc import AsyncIterable
from typing import Any

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.cli.check import binding_check
from pylon.cli.check.binding_check import check_binding
from pylon.cli.check.findings import Finding, Level
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.stored_job import UnreadableEntryError
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import StreamPlan
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.secret_texts import secret_of

OURS, OTHER = hash_of(0), hash_of(0, fork=1)
AWAY = FailureError(ErrorCode.NATS_UNAVAILABLE, "It is away.")


class State:
    """What the check reads; an exception is raised.

    Attributes:
        bound: the chain in the job store.
        node: the genesis of the node.
        has_streams: whether the streams exist.
    """

    def __init__(self) -> None:
        self.connection = FakeConnection()
        self.connect_error: FailureError | None = None
        self.bound: ChainIdentity | UnreadableEntryError | None = None
        self.node: str | FailureError = OURS
        self.has_streams = True

    async def connect(self, _options: object) -> FakeConnection:
        if self.connect_error is not None:
            raise self.connect_error
        return self.connection

    async def stream_differences(self, _connection: object, _plan: StreamPlan) -> list[Any] | None:
        return [] if self.has_streams else None

    async def genesis(self, _node: object) -> str:
        if isinstance(self.node, FailureError):
            raise self.node
        return self.node

    async def get(self, _record: ChainRecord) -> ChainIdentity | None:
        if isinstance(self.bound, UnreadableEntryError):
            raise self.bound
        return self.bound


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    async def find_mismatch(*_: object) -> None:
        return None

    async def genesis(node: object) -> str:
        return await state.genesis(node)

    async def get(record: ChainRecord) -> ChainIdentity | None:
        return await state.get(record)

    state = State()
    monkeypatch.setattr(binding_check, "connect", state.connect)
    monkeypatch.setattr(binding_check, "stream_differences", state.stream_differences)
    monkeypatch.setattr(binding_check, "find_mismatch", find_mismatch)
    monkeypatch.setattr(binding_check.NodeProbe, "genesis", genesis)
    monkeypatch.setattr(ChainRecord, "get", get)
    return state


async def collect(findings: AsyncIterable[Finding]) -> list[Finding]:
    return [finding async for finding in findings]


async def test_state_of_the_nodes_chain_is_fine(state: State) -> None:
    state.bound = ChainIdentity("finney", OURS)
    (found,) = await collect(check_binding(WorkerSettings()))
    assert (found.level, found.subject) == (Level.OK, "state")
    assert "belongs to the chain finney" in found.text
    assert state.connection.closings == 1


async def test_state_of_another_chain_is_a_failure_with_a_remedy(state: State) -> None:
    state.bound = ChainIdentity("test", OTHER)
    (found,) = await collect(check_binding(WorkerSettings()))
    assert found.level is Level.FAILURE
    assert "test" in found.text
    assert found.remedy


async def test_state_without_a_record_is_bound_by_the_first_worker(state: State) -> None:
    (found,) = await collect(check_binding(WorkerSettings()))
    assert found.level is Level.OK
    assert "the first worker binds it to" in found.text


async def test_an_unreadable_record_is_a_failure(state: State) -> None:
    state.bound = UnreadableEntryError("chain")
    (found,) = await collect(check_binding(WorkerSettings()))
    assert found.level is Level.FAILURE
    assert "chain" in found.text


@pytest.mark.parametrize(
    "change", [{"connect_error": AWAY}, {"node": AWAY}, {"has_streams": False}]
)
async def test_outages_are_left_to_other_checks(state: State, change: dict[str, Any]) -> None:
    vars(state).update(change)
    assert not await collect(check_binding(WorkerSettings()))
    assert state.connection.closings == (0 if "connect_error" in change else 1)


async def test_a_reader_cannot_read_the_record(
    monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    monkeypatch.setenv("PYLON_NATS_READER_PASSWORD", secret_of("reader"))
    assert not await collect(check_binding(WorkerSettings(worker_role=WorkerRole.READER)))
    assert state.connection.closings == 0
