"""Connections to the NATS of a deployment, without a server."""

import asyncio
from pathlib import Path
from typing import Self

import pytest

from pylon.cli.backup import state_access
from pylon.cli.backup.backup_file import BackupError
from pylon.cli.backup.state_access import connect_to_deployment, running_signers
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.provision import ProvisionError
from pylon.nats_server.embedded_server import EmbeddedNatsError
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import IdentityName
from pylon_client.nats.connection_options import ConnectionOptions
from tests.support.nats.fake_connection import FakeConnection, as_connection


class Nats:
    """A running NATS, and the one that is started for the state of a stopped Pylon.

    Attributes:
        homes: the folders for which a server was started.
        error: raised by connecting, starting or provisioning.
    """

    url = "nats://127.0.0.1:5555"

    def __init__(self) -> None:
        self.homes: list[Path] = []
        self.replicas: list[int] = []
        self.running = False
        self.connect_error: Exception | None = None
        self.start_error: Exception | None = None
        self.provision_error: Exception | None = None
        self.is_denied = False
        self.options: list[ConnectionOptions] = []
        self.connection = FakeConnection()

    def embedded(self, home: Path, _settings: WorkerSettings, *, port: int) -> Self:
        assert port == 0
        self.homes.append(home)
        return self

    async def __aenter__(self) -> Self:
        if self.start_error is not None:
            raise self.start_error
        self.running = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running = False

    async def connect(self, options: ConnectionOptions) -> FakeConnection:
        self.options.append(options)
        if self.connect_error is not None:
            raise self.connect_error
        return self.connection

    async def provision_streams(
        self, _connection: object, _plans: object, *, replicas: int
    ) -> None:
        self.replicas.append(replicas)
        await asyncio.sleep(0)
        if self.is_denied:
            self.connection.deny_subscription("$JS.API.>")
            await asyncio.Event().wait()
        if self.provision_error is not None:
            raise self.provision_error


@pytest.fixture
def nats(monkeypatch: pytest.MonkeyPatch) -> Nats:
    monkeypatch.setenv("PYLON_ENV_FILE", "")
    nats = Nats()
    monkeypatch.setattr(state_access, "EmbeddedNats", nats.embedded)
    monkeypatch.setattr(state_access, "connect", nats.connect)
    monkeypatch.setattr(state_access, "provision_streams", nats.provision_streams)
    return nats


async def test_a_running_nats_is_used_as_configured(nats: Nats) -> None:
    settings = WorkerSettings(nats_url="nats://a:1", nats_stream_replicas=3)
    async with connect_to_deployment(settings, None, "pylon backup"):
        assert nats.connection.closings == 0
    assert nats.connection.closings == 1
    assert not nats.homes
    assert [(one.urls, one.name) for one in nats.options] == [(("nats://a:1",), "pylon backup")]
    assert nats.replicas == [3]
    assert not nats.connection.violation_listeners


async def test_the_nats_of_a_stopped_pylon_runs_meanwhile_with_its_own_passwords(
    nats: Nats, tmp_path: Path
) -> None:
    settings = WorkerSettings(nats_url="nats://a:1", nats_stream_replicas=3)
    async with connect_to_deployment(settings, tmp_path, "pylon backup"):
        assert nats.running
    assert not nats.running
    assert nats.homes == [tmp_path]
    (options,) = nats.options
    assert options.urls == (nats.url,)
    assert options.user == "worker"
    assert len(options.password) >= 24
    assert nats.replicas == [1]


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("connect_error", FailureError(ErrorCode.NATS_UNAVAILABLE, "it failed")),
        ("start_error", EmbeddedNatsError("it failed")),
        ("provision_error", ProvisionError("it failed")),
        ("provision_error", FailureError(ErrorCode.NATS_UNAVAILABLE, "it failed")),
    ],
)
async def test_every_failure_is_one_text_for_the_operator(
    nats: Nats, tmp_path: Path, where: str, error: Exception
) -> None:
    setattr(nats, where, error)
    with pytest.raises(BackupError, match=r"^it failed$"):
        async with connect_to_deployment(WorkerSettings(), tmp_path, "pylon backup"):
            pass
    assert not nats.running


async def test_a_denied_stream_ends_the_wait(nats: Nats) -> None:
    nats.is_denied = True
    with pytest.raises(BackupError, match=r"may not use .* PYLON_NATS_WORKER_PASSWORD"):
        async with connect_to_deployment(WorkerSettings(), None, "pylon backup"):
            pass
    assert nats.connection.closings == 1


async def test_running_signers_are_those_that_announce_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = FakeConnection()
    events = SignerEvents(as_connection(connection))
    names = [IdentityName("sn1"), IdentityName("sn2"), IdentityName("sn1")]

    async def announce(_listen_s: float) -> None:
        for name in names:
            await events.publish(name, b"")

    monkeypatch.setattr(asyncio, "sleep", announce)
    assert await running_signers(as_connection(connection)) == {"sn1", "sn2"}
    names.clear()
    assert await running_signers(as_connection(connection)) == set()
