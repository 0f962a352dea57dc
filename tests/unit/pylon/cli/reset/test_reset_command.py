"""`pylon reset`: which state, and the confirmation of the operator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from pylon.cli.reset import reset_run
from pylon.cli.reset.reset_command import reset
from pylon.cli.reset.reset_run import Confirm
from pylon.cli.up import running_home

pytestmark = pytest.mark.usefixtures("log_level")
Run = Callable[..., Result]


class FakeReset:
    """Asks for confirmation, and does nothing.

    Attributes:
        done: network and folder of each reset.
    """

    done: list[tuple[str, str, Path]]

    def __init__(self, network: str, _settings: object, confirm: Confirm) -> None:
        self._network = network
        self._confirm = confirm

    async def set_aside_home(self, home: Path) -> str:
        self._confirm("It is moved.")
        self.done.append((self._network, "home", home))
        return "it was moved"

    async def set_aside_nats(self, folder: Path) -> str:
        self._confirm("It is emptied.")
        self.done.append((self._network, "nats", folder))
        return "it was emptied"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYLON_HOME", raising=False)
    FakeReset.done = []
    monkeypatch.setattr(reset_run, "StateReset", FakeReset)
    monkeypatch.setattr(running_home, "load_runtime_env", lambda: None)
    app = typer.Typer()
    app.command()(reset)

    def command(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["--network", "finney", *arguments])

    return command


def test_the_home_is_set_aside_unless_another_nats_is_configured(
    monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path
) -> None:
    result = run("--yes")
    assert (result.exit_code, result.stdout) == (0, "it was moved\n")
    monkeypatch.setenv("PYLON_NATS_URL", "nats://a:1")
    assert run("--yes", "--into", "folder").stdout == "it was emptied\n"
    assert run("--yes", "--home", "other").exit_code == 0
    assert FakeReset.done == [
        ("finney", "home", tmp_path / ".pylon"),
        ("finney", "nats", tmp_path / "folder"),
        ("finney", "home", tmp_path / "other"),
    ]


def test_without_a_terminal_the_confirmation_is_an_option(run: Run) -> None:
    result = run()
    assert result.exit_code == 1
    assert "It is moved." in result.stderr
    assert "there is no terminal to ask for confirmation: add --yes" in result.stderr
    assert not FakeReset.done


def test_state_in_use_is_refused(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(running_home, "load_runtime_env", lambda: Path("home"))
    result = run("--yes")
    assert (result.exit_code, result.stderr) == (
        1,
        "pylon reset: Pylon runs from home: stop it first\n",
    )
    assert not FakeReset.done
