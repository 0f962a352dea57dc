"""State that is set aside: folders are moved, and other NATS servers emptied after a backup."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pylon.chain.chain_identity import ChainIdentity
from pylon.cli.backup.backup_file import BackupError
from pylon.cli.reset import reset_run
from pylon.cli.reset.reset_run import ResetError, StateReset
from pylon.cli.reset.reset_state import DeploymentState
from pylon.common.folder_lock import FolderLock
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import STREAMS, StreamPlan
from pylon_client.contract.types import IdentityName
from tests.support.chain.fake_chain import hash_of
from tests.support.nats.fake_connection import FakeConnection

NETWORK = "finney"


class Deployment:
    """The state of each folder, and of another NATS under None.

    Attributes:
        asked: what the operator confirmed.
        declines: whether the operator declines.
    """

    def __init__(self) -> None:
        self.networks: dict[Path | None, str] = {None: NETWORK}
        self.asked: list[str] = []
        self.emptied: list[str] = []
        self.declines = False
        self.has_publisher_lease = False
        self.signers: set[str] = set()
        self.connect_error: Exception | None = None
        self._connected_to: Path | None = None

    @asynccontextmanager
    async def connect(
        self, _settings: object, home: Path | None, _name: str
    ) -> AsyncGenerator[FakeConnection]:
        if self.connect_error is not None:
            raise self.connect_error
        self._connected_to = home
        yield FakeConnection()

    async def read_state(self, _connection: object) -> DeploymentState:
        chain = ChainIdentity(self.networks[self._connected_to], hash_of(7))
        return DeploymentState(chain, Counter({IdentityName("sn1"): 2}))

    async def provision_streams(self, _connection: object, *, replicas: int) -> None:
        assert replicas == 1

    async def recreate_stream(self, _connection: object, plan: StreamPlan) -> None:
        self.emptied.append(plan.name)

    async def has_publisher(self, _connection: object) -> bool:
        return self.has_publisher_lease

    async def running_signers(self, _connection: object) -> set[str]:
        return self.signers

    async def make_backup(
        self, _settings: object, _home: None, file: BinaryIO, _progress: object
    ) -> str:
        file.write(b"jobs")
        return "2 entries"

    def confirm(self, text: str) -> None:
        self.asked.append(text)
        if self.declines:
            raise ResetError("nothing was changed")

    def reset(self, network: str = NETWORK) -> StateReset:
        return StateReset(network, WorkerSettings(), self.confirm)


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("PYLON_ENV_FILE", "")
    deployment = Deployment()
    for name in (
        *("read_state", "provision_streams", "recreate_stream", "has_publisher"),
        *("running_signers", "make_backup"),
    ):
        monkeypatch.setattr(reset_run, name, getattr(deployment, name))
    monkeypatch.setattr(reset_run, "connect_to_deployment", deployment.connect)
    return deployment


@pytest.fixture
def home(deployment: Deployment, tmp_path: Path) -> Path:
    """A home with state of a network, and of the devnet with its simulated chain."""
    for folder, network in ((tmp_path, NETWORK), (tmp_path / "devnet", "devnet")):
        (folder / "nats" / "jetstream" / "streams").mkdir(parents=True)
        deployment.networks[folder] = network
    (tmp_path / "devnet" / "chain").mkdir()
    return tmp_path


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def new_home(home: Path) -> Path:
    (folder,) = (home / "set-aside").iterdir()
    return folder


async def test_the_streams_of_a_network_are_moved_into_a_home(
    deployment: Deployment, home: Path
) -> None:
    text = await deployment.reset().set_aside_home(home)
    moved = new_home(home)
    assert (moved / "nats" / "jetstream" / "streams").is_dir()
    assert not (home / "nats" / "jetstream").exists()
    assert (home / "devnet" / "nats" / "jetstream").is_dir(), "of another network"
    assert text == f"`pylon up --home {moved}` runs with that state again"
    (asked,) = deployment.asked
    assert "2 jobs that have not ended (sn1: 2)" in asked
    assert "simulated chain" not in asked


async def test_a_simulated_chain_moves_with_its_state(deployment: Deployment, home: Path) -> None:
    text = await deployment.reset("devnet").set_aside_home(home)
    moved = new_home(home)
    assert (moved / "devnet" / "nats" / "jetstream").is_dir()
    assert (moved / "devnet" / "chain").is_dir()
    assert not (home / "devnet" / "chain").exists()
    assert (home / "nats" / "jetstream").is_dir()
    assert text == f"`pylon up --devnet --home {moved}` runs with that state again"
    assert "It and the simulated chain are moved" in deployment.asked[0]


async def test_another_network_is_named_with_all_that_are_found(
    deployment: Deployment, home: Path
) -> None:
    with pytest.raises(ResetError, match=r"finney .* and of devnet .*and not of test"):
        await deployment.reset("test").set_aside_home(home)
    assert not deployment.asked


async def test_a_folder_without_state_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    with pytest.raises(ResetError, match=f"there is no state in {tmp_path}: .*--home"):
        await deployment.reset().set_aside_home(tmp_path)


async def test_state_in_use_is_not_moved(deployment: Deployment, home: Path) -> None:
    lock = FolderLock(home / "nats")
    lock.acquire()
    try:
        with pytest.raises(ResetError, match=r"is in use .*stop the `pylon up`"):
            await deployment.reset().set_aside_home(home)
    finally:
        lock.release()
    assert (home / "nats" / "jetstream").is_dir()


async def test_nothing_is_changed_if_the_operator_declines(
    deployment: Deployment, home: Path
) -> None:
    deployment.declines = True
    reset = deployment.reset()
    for work in (reset.set_aside_home(home), reset.set_aside_nats(home)):
        with pytest.raises(ResetError, match="nothing was changed"):
            await work
    assert (home / "nats" / "jetstream").is_dir()
    assert not (home / "set-aside").exists()
    assert not deployment.emptied


async def test_another_nats_is_emptied_after_a_backup(
    deployment: Deployment, tmp_path: Path
) -> None:
    text = await deployment.reset().set_aside_nats(tmp_path)
    (file,) = files_in(tmp_path)
    assert file.read_bytes() == b"jobs"
    assert file.name.startswith("pylon-000000000000-")
    assert file.suffix == ".backup"
    assert deployment.emptied == [plan.name for plan in STREAMS]
    assert text == f"Wrote {file}: 2 entries. `pylon restore {file}` brings the jobs back"


@pytest.mark.parametrize("running", [{"has_publisher_lease": True}, {"signers": {"sn1"}}])
async def test_another_nats_is_not_emptied_while_workers_run(
    deployment: Deployment, tmp_path: Path, running: dict[str, Any]
) -> None:
    vars(deployment).update(running)
    with pytest.raises(ResetError, match="workers run"):
        await deployment.reset().set_aside_nats(tmp_path)
    assert not deployment.emptied
    assert not files_in(tmp_path)


async def test_another_nats_of_another_network_is_refused(
    deployment: Deployment, tmp_path: Path
) -> None:
    with pytest.raises(ResetError, match="NATS holds the state of finney"):
        await deployment.reset("test").set_aside_nats(tmp_path)


@pytest.mark.parametrize(
    "error", [BackupError("it failed"), FailureError(ErrorCode.NATS_UNAVAILABLE, "it failed")]
)
async def test_failures_are_one_text_for_the_operator(
    deployment: Deployment, home: Path, error: Exception
) -> None:
    deployment.connect_error = error
    reset = deployment.reset()
    for work in (reset.set_aside_home(home), reset.set_aside_nats(home)):
        with pytest.raises(ResetError, match=r"^it failed$"):
            await work
