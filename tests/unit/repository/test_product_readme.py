"""Names, defaults and trees that users of the published service know from its readme."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

import pylon_client.v1
from pylon.worker.settings import WorkerSettings
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, Config, PylonClient
from scripts.settings_page import settings_page
from tests.support.product import product_readme as readme

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("settings", readme.SETTINGS_FILES)
def test_the_readmes_settings_are_read(
    settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(settings)
    read = WorkerSettings()
    assert set(read.identity_settings) == set(read.identities)
    assert read.bittensor_wallet_path.expanduser().is_absolute()


@pytest.mark.parametrize(("name", "default"), readme.SETTINGS.items())
def test_a_setting_of_the_readme_has_its_default(name: str, default: str) -> None:
    (row,) = [line for line in settings_page().splitlines() if line.startswith(f"| `{name}`")]
    shown = row.split("|")[-2].strip()
    assert shown in ({f"`{default}`"} if default else {'`""`', ""}), row


@pytest.mark.parametrize(
    "client",
    [
        PylonClient(Config(address="http://localhost:8000")),
        AsyncPylonClient(AsyncConfig(address="http://localhost:8000")),
    ],
    ids=["blocking", "asynchronous"],
)
def test_the_readmes_methods_take_the_readmes_arguments(client: Any) -> None:
    for api, methods in readme.METHODS.items():
        for method in methods:
            name, _, rest = method.partition("(")
            arguments = [each for each in rest.removesuffix(")").split(", ") if each]
            signature = inspect.signature(getattr(getattr(client, api), name))
            signature.bind(*arguments)
            signature.bind(**dict.fromkeys(arguments))


def test_the_readmes_exceptions_are_that_tree() -> None:
    for name, parent in readme.EXCEPTIONS.items():
        kind, base = getattr(pylon_client.v1, name), getattr(pylon_client.v1, parent)
        assert base in kind.__bases__


def test_what_only_the_published_image_can_do_is_said() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    assert readme.IMAGE.partition(":")[0] in page
    for line in readme.OF_THE_IMAGE:
        assert " ".join(line.split()[:2]) in page
    own = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    published = yaml.safe_load(readme.COMPOSE)
    assert own.keys() & published.keys() == {"services"}
