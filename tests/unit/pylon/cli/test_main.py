"""Exit codes and error lines of the command line."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic_settings import SettingsError

import pylon.cli.up.supervisor
import pylon.worker.main
from pylon.cli import main
from pylon.cli.command_error import CommandError
from pylon.cli.up.up_options import UpOptions
from pylon.nats_server.embedded_server import EmbeddedNatsError
from pylon.worker.backends import WorkerError

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command line in an empty folder, and return the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "set_up_logging", lambda: None)

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["pylon", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return int(ended.value.code or 0)

    return command


def test_the_version_is_shown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("pylon ")


def test_wrong_settings_are_one_line_each(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def set_up() -> NoReturn:
        raise SettingsError("PYLON_A: is wrong\nPYLON_B: as well")

    monkeypatch.setattr(main, "set_up_logging", set_up)
    assert run("worker") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["wrong setting: PYLON_A: is wrong", "wrong setting: PYLON_B: as well"]


def test_a_shell_that_requests_completions_reads_no_settings(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def set_up() -> NoReturn:
        raise CommandError("the log was set up")

    monkeypatch.setattr(main, "set_up_logging", set_up)
    assert run("--version") == 1
    for name, value in (
        (main.COMPLETION_VARIABLE, "complete_bash"),
        ("COMP_WORDS", "pylon nats"),
        ("COMP_CWORD", "1"),
    ):
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert run() == 0
    assert "nats-conf" in capsys.readouterr().out


def test_a_missing_working_directory_is_named(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def cwd() -> NoReturn:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", cwd)
    assert run("--version") == 1
    assert capsys.readouterr().err == (
        "pylon: the working directory cannot be used (No such file or directory): change to "
        "another one\n"
    )


def test_up_passes_its_options(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    passed: list[UpOptions] = []

    async def up(options: UpOptions) -> None:
        passed.append(options)

    monkeypatch.setattr(pylon.cli.up.supervisor, "run", up)
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("PYLON_NATS_HOST", "0.0.0.0")
    assert run("up", "--devnet", "--tempo", "20", "--block-time", "0.5", "--home", "x") == 0
    (options,) = passed
    assert (options.home, options.port, options.nats_port) == (Path("x"), 8080, 4222)
    assert (options.nats_host, options.devnet_port) == ("0.0.0.0", 9944)
    assert (options.devnet_tempo, options.block_time_s, options.fresh) == (20, 0.5, False)
    assert run("up") == 0
    assert passed[1].devnet_port is None


@pytest.mark.parametrize("error", [CommandError("it failed"), EmbeddedNatsError("it failed")])
def test_an_error_of_up_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    async def up(_options: UpOptions) -> NoReturn:
        raise error

    monkeypatch.setattr(pylon.cli.up.supervisor, "run", up)
    assert run("up") == 1
    assert capsys.readouterr().err == "pylon up: it failed\n"


def test_options_of_the_simulated_chain_require_it(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("up", "--fresh") == 1
    assert "--fresh is for the simulated chain: add --devnet" in capsys.readouterr().err


def test_an_error_of_a_worker_is_one_line(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run_worker(_settings: Any) -> NoReturn:
        raise WorkerError("it cannot listen")

    monkeypatch.setattr(pylon.worker.main, "run_worker", run_worker)
    assert run("worker") == 1
    assert capsys.readouterr().err == "pylon worker: it cannot listen\n"


def test_the_users_of_nats_are_written_for_their_owner_only(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("worker", "bridge"):
        monkeypatch.setenv(f"PYLON_NATS_{name.upper()}_PASSWORD", f"the-long-password-of-{name}")
    assert run("nats-conf", "--out", "folder/users.conf") == 0
    file = tmp_path / "folder" / "users.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "users" in file.read_text()
    capsys.readouterr()
    assert run("nats-conf") == 0
    assert capsys.readouterr().out == file.read_text()
    assert run("nats-conf", "--out", "folder") == 1
    assert capsys.readouterr().err.startswith("pylon nats-conf: ")
