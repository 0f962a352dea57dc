"""The pages `docs/devnet.md` and `docs/command-line.md` have every option, control and command."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from pylon.cli import main
from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.control_server import ControlServer
from pylon_devnet.devnet_command import devnet

ROOT = Path(__file__).parents[3]
DEVNET_PAGE = (ROOT / "docs" / "devnet.md").read_text()
COMMANDS_PAGE = (ROOT / "docs" / "command-line.md").read_text()
OF_ALL_UP = {"--host", "--port", "--nats-host", "--nats-port", "--home"}


@cache
def app() -> TyperGroup:
    main._register_devnet_command()
    command = typer.main.get_command(main.app)
    assert isinstance(command, TyperGroup)
    return command


def options(command: object) -> set[str]:
    return {
        option
        for parameter in getattr(command, "params", [])
        for option in parameter.opts
        if option.startswith("--")
    } - {"--help"}


def commands(group: TyperGroup, above: str = "pylon") -> Iterator[str]:
    for name, command in group.commands.items():
        yield from (
            commands(command, f"{above} {name}")
            if isinstance(command, TyperGroup)
            else [f"{above} {name}"]
        )


def test_the_page_of_the_devnet_has_each_of_its_options() -> None:
    alone = typer.Typer(add_completion=False)
    alone.command()(devnet)
    table = DEVNET_PAGE.partition("| option | meaning")[2].partition("\n\n")[0]
    listed = re.findall(
        r"`(--[a-z-]+)", "\n".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))
    )
    assert set(listed) == options(typer.main.get_command(alone))
    assert len(listed) == len(set(listed))


def test_it_has_those_of_pylon_up_too() -> None:
    table = DEVNET_PAGE.partition("| option of `pylon up --devnet`")[2].partition("\n\n")[0]
    listed = dict(re.findall(r"^\| `(--[a-z-]+)` \| (?:`([A-Z_]+)`)? ?\|", table, re.MULTILINE))
    up = app().commands["up"]
    assert set(listed) == options(up) - OF_ALL_UP - {"--devnet"}
    assert listed == {
        option: parameter.envvar or ""
        for parameter in up.params
        for option in parameter.opts
        if option in listed
    }


def test_it_has_each_control() -> None:
    chain = Devnet(DevnetOptions(autostart=False))
    try:
        server = ControlServer(chain._controls(), chain.fail)
        controls = {" ".join(control) for control in server._controls}
    finally:
        chain.chain.close()
    listed = set(re.findall(r"`((?:GET|POST|DELETE) /[a-z-/]*)`", DEVNET_PAGE))
    assert controls - listed == set()
    assert listed <= controls


def test_the_page_of_commands_has_each_command() -> None:
    missing = {
        command
        for command in commands(app())
        if command not in COMMANDS_PAGE
        and not re.search(
            rf"`{command.rpartition(' ')[0]} \w+`.*`{command.split()[-1]}`", COMMANDS_PAGE
        )
    }
    assert missing == set()


@pytest.mark.parametrize(
    "arguments", [[], ["jobs"], ["jobs", "ls"], ["check"], ["devnet"], ["watch"]]
)
def test_a_short_option_asks_for_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app()([*arguments, "-h"], prog_name="pylon")
    assert ended.value.code == 0
    assert "Usage: pylon" in capsys.readouterr().out
