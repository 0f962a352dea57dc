"""The devnet command: its options, and errors as one line."""

import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pylon_devnet import devnet_command
from pylon_devnet.devnet_options import DevnetOptions


class Command:
    """The command with a node that only records its options, or fails."""

    def __init__(self) -> None:
        self.options: DevnetOptions | None = None
        self.error: Exception | None = None
        self._app = typer.Typer()
        self._app.command()(devnet_command.devnet)

    async def run_node(self, options: DevnetOptions) -> None:
        self.options = options
        if self.error is not None:
            raise self.error

    def __call__(self, *arguments: str) -> Any:
        return CliRunner().invoke(self._app, arguments)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    command = Command()
    monkeypatch.setattr(devnet_command, "_run", command.run_node)
    return command


def test_without_options_the_defaults_of_a_devnet_apply(command: Command) -> None:
    assert command().exit_code == 0
    assert command.options == DevnetOptions()


def test_each_option_is_passed_on(command: Command, tmp_path: Path) -> None:
    text = (
        f"--host 0.0.0.0 --port 1 --block-time 0.5 --state {tmp_path} --fresh --seed 2 "
        "--control-port 3 --runtime finney-424 --keep-blocks 4 --past-blocks 5 --neurons 20 "
        "--extra-subnets 7 --tempo 6 --still"
    )
    assert command(*text.split()).exit_code == 0
    assert command.options == DevnetOptions(
        host="0.0.0.0",
        port=1,
        block_time_s=0.5,
        state=tmp_path,
        fresh=True,
        seed=2,
        control_port=3,
        runtime="finney-424",
        keep_blocks=4,
        past_blocks=5,
        extra_subnets=7,
        neurons=20,
        tempo_blocks=6,
        active=False,
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.EADDRINUSE, "address in use"),
            "devnet: address in use; choose another with --port or --control-port",
        ),
        (OSError(errno.EACCES, "denied"), "devnet: folder cannot be used: denied"),
        (OSError(errno.EBUSY, "in use"), "devnet: folder cannot be used: in use"),
        (OSError("no such host"), "devnet: no such host"),
        (ValueError("another chain"), "devnet: another chain"),
        (
            sqlite3.OperationalError("disk I/O error"),
            "devnet: could not write or read folder: disk I/O error; check whether",
        ),
    ],
)
def test_an_error_is_one_line_with_a_remedy(command: Command, error: Exception, line: str) -> None:
    command.error = error
    result = command("--state", "folder")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_an_error_of_a_chain_in_memory_names_no_folder(command: Command) -> None:
    command.error = sqlite3.OperationalError("out of memory")
    assert "could not write or read the chain: out of memory" in command().stderr


def test_an_unknown_runtime_is_refused_with_the_known_ones(command: Command) -> None:
    result = command("--runtime", "oldest")
    assert result.exit_code == 1
    assert "newest, finney-424" in result.stderr
    assert command.options is None
