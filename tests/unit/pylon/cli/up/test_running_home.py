"""Which deployment a command looks at: that of a running home, of the settings, or none."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pylon.cli.up import running_home
from pylon.cli.up.up_options import UpError

URL = "nats://127.0.0.1:4999"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PYLON_")]:
        monkeypatch.delenv(name)
    # Settings that a command loads must not reach the next test.
    monkeypatch.setattr(os, "environ", dict(os.environ))


def home_of(folder: Path) -> Path:
    home = folder / ".pylon"
    home.mkdir(parents=True)
    return home


def env_of(**more: str) -> Mapping[str, str]:
    return {"PYLON_NATS_URL": URL, "PYLON_IDENTITIES": '["sn1"]', "HOME": "/root", **more}


def test_all_settings_of_a_running_home_are_loaded_and_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = home_of(tmp_path / "a")
    (tmp_path / ".env").write_text("PYLON_OPEN_ACCESS_TOKEN=of-another\n")
    os.environ["PYLON_TRACKED_NETUIDS"] = "[64]"
    monkeypatch.chdir(tmp_path / "a")
    with running_home.write_runtime_env(home, env_of(PYLON_ID_SN1_TOKEN_FILE="token"), ""):
        assert (home / "running.json").stat().st_mode & 0o777 == 0o600
        monkeypatch.chdir(tmp_path)
        assert running_home.find_deployment(home) == home
    assert {name: text for name, text in os.environ.items() if name.startswith("PYLON_")} == {
        "PYLON_NATS_URL": URL,
        "PYLON_IDENTITIES": '["sn1"]',
        "PYLON_ID_SN1_TOKEN_FILE": str(tmp_path / "a" / "token"),
        "PYLON_HOME": str(home),
        "PYLON_ENV_FILE": "",
    }


def test_of_two_homes_that_of_the_option_counts(tmp_path: Path) -> None:
    one, another = home_of(tmp_path), home_of(tmp_path / "b")
    with (
        running_home.write_runtime_env(one, env_of(), ""),
        running_home.write_runtime_env(another, env_of(PYLON_NATS_URL="nats://127.0.0.1:5000"), ""),
    ):
        assert running_home.find_deployment(another) == another
        assert os.environ["PYLON_NATS_URL"] == "nats://127.0.0.1:5000"


def test_an_environment_that_names_another_nats_counts_unless_a_home_is_given(
    tmp_path: Path,
) -> None:
    home = home_of(tmp_path)
    os.environ["PYLON_NATS_URL"] = "nats://nats.example:4222"
    with running_home.write_runtime_env(home, env_of(), ""):
        assert running_home.find_deployment() is None
        assert os.environ["PYLON_NATS_URL"] == "nats://nats.example:4222"
        assert running_home.find_deployment(Path(".pylon")) == home
        assert os.environ["PYLON_NATS_URL"] == URL


def test_files_of_a_killed_process_do_not_count_as_running(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    (home / "running.json").write_text('{"settings": {}}')
    assert not running_home.is_running(home)
    with pytest.raises(UpError, match="no Pylon runs from"):
        running_home.find_deployment(home)


@pytest.mark.parametrize("where", ["environment", "file"])
def test_settings_without_a_running_home_describe_a_deployment(tmp_path: Path, where: str) -> None:
    with pytest.raises(UpError, match=r"no Pylon runs from .+/\.pylon, and the environment and"):
        running_home.find_deployment()
    os.environ["PYLON_LOG_LEVEL"] = "DEBUG"
    with pytest.raises(UpError):
        running_home.find_deployment()
    if where == "file":
        (tmp_path / ".env").write_text("PYLON_BITTENSOR_NETWORK=finney\n")
    else:
        os.environ["PYLON_BITTENSOR_NETWORK"] = "finney"
    assert running_home.find_deployment() is None


def test_the_header_of_open_access_is_there_as_long_as_it_runs(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    with running_home.write_runtime_env(home, env_of(), "a-token"):
        header = home / running_home.HEADER_FILE
        assert header.read_text() == "Authorization: Bearer a-token\n"
        assert header.stat().st_mode & 0o777 == 0o600
    assert list(home.iterdir()) == []


def test_a_command_that_needs_no_deployment_may_ask_for_one() -> None:
    assert running_home.load_runtime_env() is None
