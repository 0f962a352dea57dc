"""Backups and restores of a job store in memory."""

import io
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pylon.cli.backup import backup_run
from pylon.cli.backup.backup_file import BackupEntry, BackupError, BackupFile
from pylon.cli.backup.backup_run import make_backup, restore
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection

GENESIS, OTHER = hash_of(0), hash_of(0, fork=1)


class Store:
    """A job store: its entries, and the genesis of its chain.

    Attributes:
        unreadable: keys that an import leaves out.
        steps: what was done, in order.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.chain: str | None = GENESIS
        self.unreadable: set[str] = set()
        self.steps: list[str] = []

    def __call__(self, _connection: object) -> "Store":
        return self

    async def genesis(self) -> str | None:
        return self.chain

    async def set_legacy_genesis(self, genesis: str | None) -> None:
        self.chain = self.chain or genesis

    async def export_entries(self) -> AsyncGenerator[BackupEntry]:
        for key, value in self.stored.items():
            yield BackupEntry(key, value)

    async def is_empty(self) -> bool:
        return not self.stored

    async def clear(self) -> None:
        self.steps.append("clear")
        self.stored.clear()
        self.chain = None

    async def import_entries(
        self, entries: Iterable[BackupEntry], *, ended_retention_days: int, on_progress: Any
    ) -> int:
        assert ended_retention_days == 7
        read = {one.key: one.value for one in entries}
        self.stored |= {key: read[key] for key in read.keys() - self.unreadable}
        on_progress(len(read))
        return len(read.keys() & self.unreadable)


class Node:
    """The chain node of the settings.

    Attributes:
        genesis: its genesis; an exception is raised.
    """

    endpoint_label = "ws://node"
    genesis: str | FailureError = GENESIS
    closed = False

    def __call__(self, network: str) -> "Node":
        if network == "no-such-network":
            raise ValueError("there is no network 'no-such-network'")
        return self

    async def close(self) -> None:
        self.closed = True


class Deployment:
    """Everything that a restore meets."""

    def __init__(self) -> None:
        self.store = Store()
        self.node = Node()
        self.signers: set[str] = set()
        self.lines: list[str] = []

    @asynccontextmanager
    async def connect(self, *_: object) -> AsyncGenerator[FakeConnection]:
        yield FakeConnection()

    async def running_signers(self, _connection: object) -> set[str]:
        return self.signers

    async def read_genesis_hash(self, _chain: object, _timeout_s: float) -> str:
        if isinstance(self.node.genesis, FailureError):
            raise self.node.genesis
        return self.node.genesis

    async def backup(self) -> BackupFile:
        file = io.BytesIO()
        await make_backup(WorkerSettings(), None, file, self.lines.append)
        return BackupFile(file, "jobs.zip")

    async def restore(
        self, backup: BackupFile, *, replace: bool = False, check_chain: bool = True, **more: Any
    ) -> str:
        return await restore(
            WorkerSettings(**more),
            None,
            backup,
            self.lines.append,
            replace=replace,
            check_chain=check_chain,
        )


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("PYLON_ENV_FILE", "")
    deployment = Deployment()
    monkeypatch.setattr(backup_run, "JobStoreCopy", deployment.store)
    monkeypatch.setattr(backup_run, "SubtensorReader", deployment.node)
    monkeypatch.setattr(backup_run, "connect_to_deployment", deployment.connect)
    monkeypatch.setattr(backup_run, "running_signers", deployment.running_signers)
    monkeypatch.setattr(backup_run, "read_genesis_hash", deployment.read_genesis_hash)
    return deployment


@pytest.fixture
async def backup(deployment: Deployment) -> BackupFile:
    """A backup of two entries, whose store is empty since then."""
    deployment.store.stored = {"job.sn1.a": b"1", "lane.a": b"2"}
    made = await deployment.backup()
    deployment.store.stored = {}
    return made


async def test_a_backup_is_restored_to_an_empty_store(
    deployment: Deployment, backup: BackupFile
) -> None:
    deployment.store.chain = None
    text = await deployment.restore(backup)
    assert deployment.store.stored == {"job.sn1.a": b"1", "lane.a": b"2"}
    assert deployment.store.chain == GENESIS
    assert text == f"2 entries of the backup of {backup.manifest.made_at}"
    assert deployment.lines == ["2 of 2 entries written"]
    assert deployment.node.closed


async def test_entries_that_cannot_be_read_are_counted(
    deployment: Deployment, backup: BackupFile
) -> None:
    deployment.store.unreadable = {"lane.a"}
    text = await deployment.restore(backup)
    assert text.startswith("1 entries of the backup")
    assert text.endswith("; 1 cannot be read and were left out")


async def test_existing_jobs_are_replaced_only_on_request(
    deployment: Deployment, backup: BackupFile
) -> None:
    deployment.store.stored = {"job.sn2.b": b"3"}
    with pytest.raises(BackupError, match=r"there are jobs already: add --replace"):
        await deployment.restore(backup)
    assert deployment.store.stored == {"job.sn2.b": b"3"}
    await deployment.restore(backup, replace=True)
    assert set(deployment.store.stored) == {"job.sn1.a", "lane.a"}


async def test_nothing_is_restored_while_workers_run(
    deployment: Deployment, backup: BackupFile
) -> None:
    deployment.signers = {"sn2", "sn1"}
    with pytest.raises(BackupError, match="workers run, for sn1, sn2: stop every worker"):
        await deployment.restore(backup, replace=True)
    assert not deployment.store.steps


async def test_state_of_another_chain_is_kept(deployment: Deployment, backup: BackupFile) -> None:
    deployment.store.chain = OTHER
    with pytest.raises(BackupError, match=f"genesis {OTHER}, the backup of {GENESIS}"):
        await deployment.restore(backup)
    assert not deployment.store.stored


@pytest.mark.parametrize(
    ("genesis", "text"),
    [
        (OTHER, f"genesis {GENESIS}, ws://node of {OTHER}"),
        (
            FailureError(ErrorCode.CHAIN_UNAVAILABLE, "It is away."),
            "ws://node does not return its genesis: It is away: .*--no-chain-check",
        ),
    ],
)
async def test_the_chain_of_the_node_is_compared_unless_told_not_to(
    deployment: Deployment, backup: BackupFile, genesis: str | FailureError, text: str
) -> None:
    deployment.node.genesis = genesis
    with pytest.raises(BackupError, match=text):
        await deployment.restore(backup)
    assert deployment.node.closed
    assert not deployment.store.stored
    await deployment.restore(backup, check_chain=False)
    assert deployment.store.stored


async def test_an_unknown_network_is_named(deployment: Deployment, backup: BackupFile) -> None:
    with pytest.raises(BackupError, match=r"no-such-network.*PYLON_BITTENSOR_NETWORK"):
        await deployment.restore(backup, bittensor_network="no-such-network")


async def test_a_backup_without_a_genesis_is_of_any_chain(deployment: Deployment) -> None:
    deployment.store.chain = None
    deployment.store.stored = {"lane.a": b"2"}
    backup = await deployment.backup()
    assert backup.manifest.genesis is None
    deployment.store.stored = {}
    deployment.store.chain = OTHER
    deployment.node.genesis = OTHER
    await deployment.restore(backup)
    assert (deployment.store.stored, deployment.store.chain) == ({"lane.a": b"2"}, OTHER)


async def test_progress_is_shown(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    monkeypatch.setattr(backup_run, "PROGRESS_INTERVAL", 2)
    deployment.store.stored = {f"job.sn1.{number}": b"" for number in range(5)}
    await deployment.backup()
    assert deployment.lines == ["2 entries read", "4 entries read"]
