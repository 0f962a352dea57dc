"""Checks of NATS and of signers, on connections without a server."""

from collections.abc import AsyncGenerator, AsyncIterable
from types import SimpleNamespace
from typing import Any

import pytest

from pylon.cli.check import nats_check
from pylon.cli.check.findings import Finding, Level, ok
from pylon.cli.check.nats_check import check_nats, check_signers
from pylon.jetstream.provision import ProvisionError, StorageUsage
from pylon.jetstream.stream_rules import ConfigDifference
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import STREAMS, StreamPlan
from tests.support.nats.fake_connection import FakeConnection
from tests.support.product.secret_texts import secret_of

MIB = 2**20


class Nats:
    """The NATS that the checks look at.

    Attributes:
        failure: raised by `connect`.
        differences: of each stream from its plan; None for a missing stream.
        provision_error: raised instead of the differences.
    """

    def __init__(self) -> None:
        self.failure: FailureError | None = None
        self.differences: dict[str, list[ConfigDifference] | None] = {}
        self.provision_error: ProvisionError | None = None
        self.usage = StorageUsage(used_bytes=5 * MIB, limit_bytes=None)
        self.connection: Any = FakeConnection()
        self.connection.user = "worker"
        self.connection.connected_url = SimpleNamespace(netloc="node:4222")

    async def connect(self, _options: object) -> Any:
        if self.failure is not None:
            raise self.failure
        return self.connection

    async def stream_differences(
        self, _connection: object, plan: StreamPlan
    ) -> list[ConfigDifference] | None:
        if self.provision_error is not None:
            raise self.provision_error
        return self.differences.get(plan.name, [])

    async def storage_usage(self, _connection: object) -> StorageUsage:
        return self.usage


@pytest.fixture
def nats(monkeypatch: pytest.MonkeyPatch) -> Nats:
    async def check_storage(*_: object) -> AsyncGenerator[Finding]:
        yield ok("storage", "checked")

    nats = Nats()
    monkeypatch.setattr(nats_check, "connect", nats.connect)
    monkeypatch.setattr(nats_check, "stream_differences", nats.stream_differences)
    monkeypatch.setattr(nats_check, "storage_usage", nats.storage_usage)
    monkeypatch.setattr(nats_check, "check_storage", check_storage)
    return nats


async def collect(findings: AsyncIterable[Finding]) -> dict[str, Finding]:
    """Return the findings by subject; the last one of each subject."""
    return {finding.subject: finding async for finding in findings}


async def test_every_stream_and_the_storage_are_checked(
    monkeypatch: pytest.MonkeyPatch, nats: Nats
) -> None:
    monkeypatch.setenv("PYLON_NATS_WORKER_PASSWORD", secret_of("worker"))
    found = await collect(check_nats(WorkerSettings()))
    assert {finding.level for finding in found.values()} == {Level.OK}
    assert set(found) == {
        *("NATS", "JetStream", "storage"),
        *(f"stream {plan.name}" for plan in STREAMS),
    }
    assert found["NATS"].text == "connected to node:4222 as worker"
    assert nats.connection.closings == 1


async def test_a_server_without_passwords_is_a_warning(nats: Nats) -> None:
    found = await collect(check_nats(WorkerSettings()))
    assert found["NATS"].level is Level.WARNING
    assert "requires no password" in found["NATS"].text


async def test_missing_and_wrong_streams_are_told_apart(nats: Nats) -> None:
    missing, wrong = STREAMS[0].name, STREAMS[1].name
    nats.differences = {missing: None, wrong: [ConfigDifference("max_age is 1", "--max-age=0")]}
    found = await collect(check_nats(WorkerSettings()))
    assert found[f"stream {missing}"].level is Level.WARNING
    assert found[f"stream {wrong}"].level is Level.FAILURE
    assert found[f"stream {wrong}"].text == "max_age is 1"
    assert "--max-age=0" in found[f"stream {wrong}"].remedy
    assert "storage" not in found, "it needs all streams"


@pytest.mark.parametrize(
    ("used", "limit", "level"),
    [(89, 100, Level.OK), (90, 100, Level.FAILURE), (1, 0, Level.FAILURE), (5000, None, Level.OK)],
)
async def test_nearly_full_storage_is_a_failure(
    nats: Nats, used: int, limit: int | None, level: Level
) -> None:
    nats.usage = StorageUsage(
        used_bytes=used * MIB, limit_bytes=None if limit is None else limit * MIB
    )
    found = await collect(check_nats(WorkerSettings()))
    assert found["JetStream"].level is level
    assert found["JetStream"].text.startswith(f"{used} MiB in use")


async def test_a_server_without_jetstream_is_a_failure(nats: Nats) -> None:
    nats.provision_error = ProvisionError("JetStream is not enabled")
    found = await collect(check_nats(WorkerSettings()))
    assert found["JetStream"].level is Level.FAILURE
    assert nats.connection.closings == 1


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (ErrorCode.NATS_UNAVAILABLE, "start a nats-server"),
        (ErrorCode.FORBIDDEN, "pylon nats-conf"),
        (ErrorCode.UNAUTHENTICATED, "PYLON_NATS_WORKER_PASSWORD"),
        (ErrorCode.INVALID, "see the settings"),
    ],
)
async def test_a_failed_connect_has_a_remedy(nats: Nats, code: ErrorCode, remedy: str) -> None:
    nats.failure = FailureError(code, "It failed.")
    found = await collect(check_nats(WorkerSettings()))
    assert list(found) == ["NATS"]
    assert (found["NATS"].level, found["NATS"].text) == (Level.FAILURE, "It failed.")
    assert remedy in found["NATS"].remedy


async def test_a_reader_does_not_look_at_streams(
    monkeypatch: pytest.MonkeyPatch, nats: Nats
) -> None:
    monkeypatch.setenv("PYLON_NATS_READER_PASSWORD", secret_of("reader"))
    found = await collect(check_nats(WorkerSettings(worker_role=WorkerRole.READER)))
    assert list(found) == ["NATS"]
    assert nats.connection.closings == 1


async def test_a_reader_needs_a_signer_of_each_identity(
    monkeypatch: pytest.MonkeyPatch, nats: Nats
) -> None:
    monkeypatch.setattr(nats_check, "ANNOUNCE_INTERVAL_S", -1.0)
    monkeypatch.setenv("PYLON_IDENTITIES", '["sn1"]')
    monkeypatch.setenv("PYLON_ID_SN1_NETUID", "1")
    monkeypatch.setenv("PYLON_ID_SN1_TOKEN", secret_of("sn1"))
    reader = WorkerSettings(worker_role=WorkerRole.READER)
    found = await collect(check_signers(reader))
    assert found["identity sn1"].level is Level.WARNING
    assert found["identity sn1"].remedy
    assert nats.connection.closings == 1
    assert not await collect(check_signers(WorkerSettings(worker_role=WorkerRole.ALL)))
    nats.failure = FailureError(ErrorCode.NATS_UNAVAILABLE, "reported already")
    assert not await collect(check_signers(reader))
