"""A worker's connections to NATS and to the chain."""

from typing import Any

import pytest

from pylon.chain.chain_guard import UnboundError
from pylon.events.event_log import EventLog
from pylon.worker import backends
from pylon.worker.backends import (
    WorkerError,
    connect_worker,
    create_binder,
    create_chain,
    create_guard,
    open_stored_events,
)
from pylon.worker.binding.chain_binder import ChainBinder
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.nats.connection_options import ConnectionOptions
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection, as_connection
from tests.support.product.secret_texts import secret_of
from tests.support.product.stepped_loop import run_stepped

GENESIS = hash_of(0)
UNAVAILABLE = FailureError(ErrorCode.NATS_UNAVAILABLE, "There is no server.")


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    """The settings of a reader that connects as the NATS user `reader`."""
    monkeypatch.setenv("PYLON_NATS_READER_PASSWORD", secret_of("reader"))
    return WorkerSettings(worker_role=WorkerRole.READER)


class Servers:
    """Stands for `connect`: fails some times, and then returns a connection."""

    def __init__(self, *failures: FailureError) -> None:
        self._failures = list(failures)
        self.options: list[ConnectionOptions] = []

    async def connect(self, options: ConnectionOptions) -> Any:
        self.options.append(options)
        if self._failures:
            raise self._failures.pop(0)
        return FakeConnection()


def test_a_worker_waits_for_nats(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    servers = Servers(*[UNAVAILABLE] * 3)
    monkeypatch.setattr(backends, "connect", servers.connect)

    async def work() -> None:
        await connect_worker(WorkerSettings(), "pylon worker")

    run_stepped(work())
    assert [options.name for options in servers.options] == ["pylon worker"] * 4
    assert caplog.text.count("Waiting for NATS: There is no server.") == 3


def test_a_worker_gives_up_on_nats_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(*[UNAVAILABLE] * 1000)
    monkeypatch.setattr(backends, "connect", servers.connect)

    async def work() -> None:
        with pytest.raises(WorkerError, match="There is no server"):
            await connect_worker(WorkerSettings(), "pylon worker")

    run_stepped(work())
    assert 30 < len(servers.options) < 100


async def test_rejected_credentials_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(FailureError(ErrorCode.FORBIDDEN, "The password is wrong."))
    monkeypatch.setattr(backends, "connect", servers.connect)
    with pytest.raises(WorkerError, match="The password is wrong"):
        await connect_worker(WorkerSettings(), "pylon worker")
    assert len(servers.options) == 1


async def test_a_reader_connects_as_its_own_user(
    monkeypatch: pytest.MonkeyPatch, reader: WorkerSettings
) -> None:
    servers = Servers()
    monkeypatch.setattr(backends, "connect", servers.connect)
    await connect_worker(reader, "pylon worker")
    assert servers.options[0].user == "reader"


def test_only_a_reader_uses_a_node_before_the_state_is_bound(reader: WorkerSettings) -> None:
    create_guard(reader).check_genesis(GENESIS)
    with pytest.raises(UnboundError):
        create_guard(WorkerSettings()).check_genesis(GENESIS)


async def test_only_a_reader_has_no_binder_and_reads_stored_events_via_a_worker(
    reader: WorkerSettings,
) -> None:
    connection = as_connection(FakeConnection())
    assert create_binder(reader, create_guard(reader), connection) is None
    assert not isinstance(open_stored_events(reader, connection), EventLog)
    settings = WorkerSettings()
    assert isinstance(create_binder(settings, create_guard(settings), connection), ChainBinder)
    assert isinstance(open_stored_events(settings, connection), EventLog)


@pytest.mark.parametrize("variable", ["PYLON_BITTENSOR_NETWORK", "PYLON_BITTENSOR_ARCHIVE_NETWORK"])
async def test_an_unknown_network_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "no-such-network")
    settings = WorkerSettings()
    with pytest.raises(WorkerError, match=f"^{variable}: "):
        create_chain(settings, WorkerMetrics(), create_guard(settings))
