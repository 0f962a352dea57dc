"""`pylon backup` and `pylon restore`: which deployment, and where the file goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from pylon.cli.backup import backup_run
from pylon.cli.backup.backup_commands import backup, restore
from pylon.cli.backup.backup_file import BackupError, write_archive
from pylon.cli.up import running_home
from pylon.cli.up.up_options import UpError
from pylon.worker.settings import WorkerSettings

pytestmark = pytest.mark.usefixtures("log_level")
Run = Callable[..., Result]


class Runs:
    """Stands for the work of both commands.

    Attributes:
        states: the state folder of each call; None for a running NATS.
        running: the home of a running Pylon.
    """

    def __init__(self) -> None:
        self.states: list[Path | None] = []
        self.running: Path | None = None
        self.error: Exception | None = None
        self.restored: list[tuple[bool, bool]] = []

    async def make_backup(
        self, _settings: WorkerSettings, state: Path | None, file: BinaryIO, _show: object
    ) -> str:
        self.states.append(state)
        if self.error is not None:
            raise self.error
        with write_archive(file, genesis=None, stream="s", made_at="now"):
            pass
        return "0 entries"

    async def restore(
        self,
        _settings: WorkerSettings,
        state: Path | None,
        _backup: object,
        _show: object,
        *,
        replace: bool,
        check_chain: bool,
    ) -> str:
        self.states.append(state)
        self.restored.append((replace, check_chain))
        return "0 entries"

    def load(self) -> Path | None:
        if self.error is not None:
            raise self.error
        return self.running


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    runs = Runs()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYLON_HOME", raising=False)
    monkeypatch.setattr(backup_run, "make_backup", runs.make_backup)
    monkeypatch.setattr(backup_run, "restore", runs.restore)
    monkeypatch.setattr(running_home, "load_runtime_env", runs.load)
    return runs


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    app = typer.Typer()
    app.command()(backup)
    app.command()(restore)

    def command(*arguments: str) -> Any:
        # `--home` is stored in the environment.
        with monkeypatch.context() as patch:
            patch.setenv("PYLON_HOME", "")
            return CliRunner().invoke(app, arguments)

    return command


def make_state(*folders: str) -> None:
    for folder in folders:
        (Path(folder) / "nats").mkdir(parents=True)


def test_a_stopped_home_is_read(runs: Runs, run: Run) -> None:
    make_state(".pylon", ".pylon/devnet", "other")
    for options in ([], ["--devnet"], ["--home", "other"]):
        result = run("backup", f"{len(runs.states)}.zip", *options)
        assert result.exit_code == 0, result.output
    assert [str(state) for state in runs.states][:2] == [".pylon", ".pylon/devnet"]
    assert runs.states[2] == Path("other").absolute()
    assert Path("0.zip").exists()


def test_a_running_pylon_or_another_nats_is_read_over_nats(
    monkeypatch: pytest.MonkeyPatch, runs: Runs, run: Run
) -> None:
    runs.running = Path("home")
    assert run("backup", "a.zip").exit_code == 0
    runs.running = None
    monkeypatch.setenv("PYLON_NATS_URL", "nats://a:1")
    assert run("backup", "b.zip").exit_code == 0
    assert runs.states == [None, None]


def test_a_backup_may_go_to_standard_output(runs: Runs, run: Run) -> None:
    make_state(".pylon")
    result = run("backup", "-")
    assert result.exit_code == 0
    assert result.stdout_bytes.startswith(b"PK")


@pytest.mark.parametrize(
    ("states", "text"), [([], "there is no state in"), ([".pylon/devnet"], "add --devnet")]
)
def test_a_folder_without_state_is_refused(
    runs: Runs, run: Run, states: list[str], text: str
) -> None:
    make_state(*states)
    result = run("backup", "a.zip")
    assert result.exit_code == 1
    assert text in result.output
    assert not Path("a.zip").exists()


@pytest.mark.parametrize("error", [BackupError("it failed"), UpError("it failed")])
def test_an_error_leaves_no_file(runs: Runs, run: Run, error: Exception) -> None:
    make_state(".pylon")
    runs.error = error
    result = run("backup", "a.zip")
    assert (result.exit_code, result.stderr) == (1, "pylon backup: it failed\n")
    assert not list(Path().glob("a.zip*"))


def test_a_restore_checks_the_chain_unless_it_cannot(runs: Runs, run: Run) -> None:
    make_state(".pylon", ".pylon/devnet")
    assert run("backup", "a.zip").exit_code == 0
    for options in ([], ["--no-chain-check"], ["--devnet", "--replace"]):
        result = run("restore", "a.zip", *options)
        assert result.exit_code == 0, result.output
    assert runs.restored == [(False, True), (False, False), (True, False)]


def test_nothing_is_restored_while_pylon_runs_or_from_a_damaged_file(runs: Runs, run: Run) -> None:
    make_state(".pylon")
    assert run("backup", "a.zip").exit_code == 0
    Path("b.zip").write_bytes(b"damaged")
    assert run("restore", "b.zip").exit_code == 1
    runs.running = Path("home")
    result = run("restore", "a.zip")
    assert result.exit_code == 1
    assert "Pylon runs from home: stop it" in result.output
    assert not runs.restored
