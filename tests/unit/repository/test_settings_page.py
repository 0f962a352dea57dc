"""`docs/settings.md` has every setting of the code, each with its default, and no other."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings
from typer.core import TyperGroup

from pylon.cli import main
from pylon.common.deployment_settings import IdentitySettings, IdentityWithToken
from pylon.common.environment_settings import EnvironmentSettings
from pylon.common.prometheus_settings import PrometheusSettings
from pylon.common.variable_checks import IGNORED_VARIABLES, unknown_variables
from pylon_client.config import BaseConfig

ROOT = Path(__file__).parents[3]
SOURCES = [*ROOT.glob("pylon*/**/*.py"), *ROOT.glob("bridge/**/*.py")]
for source in SOURCES:
    if re.search(r"^class \w+\(\w+Settings\):", source.read_text(), re.MULTILINE):
        importlib.import_module(".".join(source.relative_to(ROOT).with_suffix("").parts))
PAGE, WITHOUT_EFFECT = (
    (ROOT / "docs" / "settings.md").read_text().split("## Of the published service\n")
)
ROW = re.compile(r"^\| `([A-Z_{}0-9]+)`(?:, `_FILE`)? \| (.+?) \|( [a-zA-Z]+)? ?\|(?: (.+))? \|$")
LISTED = {
    found[1]: found[4] or "" for line in PAGE.splitlines() if (found := ROW.match(line)) is not None
}
SECRETS = set(re.findall(r"^\| `(\S+)`, `_FILE` \|", PAGE, re.MULTILINE))


def classes(of: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for one in of.__subclasses__():
        if one.__module__.partition(".")[0] in {"bridge", "pylon", "pylon_client"}:
            yield one
            yield from classes(one)


def variables(settings: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables(kind, f"{prefix}{name}__".upper())
        else:
            yield f"{prefix}{name}".upper()


# The latter has the same settings, of which one more is required.
EVERY_CLASS = [one for one in classes(EnvironmentSettings) if one is not IdentityWithToken]
PREFIXES: dict[type[BaseSettings], str] = {
    IdentitySettings: "PYLON_ID_{NAME}_",
    PrometheusSettings: "PROMETHEUS_",
}
OF_CLASSES = {
    variable
    for settings in EVERY_CLASS
    for variable in variables(settings, PREFIXES.get(settings, "PYLON_"))
} - {"PYLON_ID_{NAME}_NAME"}
OF_CLIENT = set(variables(BaseConfig, "PYLON_CLIENT_"))


def of_commands() -> set[str]:
    command = typer.main.get_command(main.app)
    assert isinstance(command, TyperGroup)
    return {
        str(option.envvar)
        for one in command.commands.values()
        for option in one.params
        if option.envvar
    }


def test_every_setting_is_listed_and_nothing_else() -> None:
    assert len(EVERY_CLASS) >= 7
    assert set(LISTED) == OF_CLASSES | OF_CLIENT | of_commands()
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(LISTED), "each is listed once, and every row was understood"


def test_the_variables_without_an_effect_are_listed_on_both_pages() -> None:
    assert re.findall(r"^\| `(\S+)` \|", WITHOUT_EFFECT, re.MULTILINE) == list(IGNORED_VARIABLES)
    compatibility = (ROOT / "docs" / "compatibility.md").read_text()
    assert not [name for name in IGNORED_VARIABLES if f"`{name}`" not in compatibility]


def test_no_variable_of_the_deployment_files_is_taken_for_a_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [*ROOT.glob("*compose*.yaml"), ROOT / "Dockerfile", ROOT / "Makefile"]
    files += [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    named = {
        name
        for path in files
        for name in re.findall(
            r"\bPYLON_[A-Z0-9_]*[A-Z0-9]\b(?=\s*[:=}\"')]|:-|:\?)", path.read_text()
        )
    }
    assert {"PYLON_WALLETS", "PYLON_HEALTH_PORT"} <= named
    for name in named:
        monkeypatch.setenv(name, "1")
    assert unknown_variables() == []


def listed_text(variable: str) -> str:
    """The default as one would write it in `.env`."""
    return LISTED[variable].strip("`").replace('""', "")


@pytest.mark.parametrize(
    "settings", [one for one in EVERY_CLASS if one is not IdentitySettings], ids=str
)
def test_the_listed_defaults_change_nothing(
    settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    without = settings()
    for variable in variables(settings, PREFIXES.get(settings, "PYLON_")):
        monkeypatch.setenv(variable, listed_text(variable))
    assert settings() == without


def test_those_of_an_identity_and_of_the_client_change_nothing_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed: dict[str, Any] = {"name": "sn1", "netuid": 1, "token": "t"}
    identity, client = IdentitySettings(**needed), BaseConfig(address="http://x")
    for variable in variables(IdentitySettings, "PYLON_ID_{NAME}_"):
        if variable in LISTED and LISTED[variable] != "required":
            monkeypatch.setenv(variable.replace("ID_{NAME}_", ""), listed_text(variable))
    for variable in OF_CLIENT - {"PYLON_CLIENT_ADDRESS"}:
        if LISTED[variable]:
            monkeypatch.setenv(variable, listed_text(variable))
    assert IdentitySettings(**needed) == identity
    assert BaseConfig(address="http://x") == client
    assert not BaseConfig.model_fields["address"].default


def test_secrets_and_nothing_else_are_marked_as_readable_from_files() -> None:
    secret = {
        PREFIXES.get(settings, "PYLON_") + name.upper()
        for settings in EVERY_CLASS
        for name, field in settings.model_fields.items()
        if field.annotation is SecretStr
    }
    assert secret == SECRETS
