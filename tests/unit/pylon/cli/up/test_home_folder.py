"""The home folder of `pylon up`."""

from pathlib import Path
from typing import Any

import pytest

from pylon.cli.up import devnet_identities
from pylon.cli.up.home_folder import is_new_chain, lock_home, prepare_home, require_home_access
from pylon.cli.up.up_options import UpError, UpOptions
from pylon_devnet.state_folder import LOCK_FILE


def options_of(home: Path, **more: Any) -> UpOptions:
    defaults: dict[str, Any] = {
        "home": home,
        "host": "127.0.0.1",
        "port": 8000,
        "nats_host": "127.0.0.1",
        "nats_port": 4222,
        "devnet_port": 9944,
        "control_port": None,
        "devnet_runtime": None,
        "devnet_tempo": None,
        "devnet_seed": None,
        "block_time_s": 1.0,
        "fresh": False,
    }
    return UpOptions(**defaults | more)


@pytest.fixture(autouse=True)
def wallets(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes in which wallets were written."""
    homes: list[Path] = []
    monkeypatch.setattr(devnet_identities, "write_wallets", homes.append)
    return homes


def test_a_home_is_made_and_used_by_one_process(tmp_path: Path) -> None:
    options = options_of(tmp_path / "a" / "home")
    with lock_home(options):
        assert options.home.is_dir()
        with (
            pytest.raises(UpError, match=r"another `pylon up`.*choose another --home"),
            lock_home(options),
        ):
            pass
    with lock_home(options):
        pass


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    with (
        pytest.raises(UpError, match=rf"cannot use {home} .*choose another --home"),
        lock_home(options_of(home)),
    ):
        pass


def test_a_missing_home_can_be_accessed(tmp_path: Path) -> None:
    require_home_access(options_of(tmp_path / "home"))


def test_state_without_its_simulated_chain_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = options_of(tmp_path)
    assert is_new_chain(options)
    assert not caplog.records
    (options.state_folder / "nats").mkdir(parents=True)
    assert is_new_chain(options)
    assert "removing its events and jobs" in caplog.text
    options.chain_folder.mkdir()
    assert not is_new_chain(options)


def test_a_configured_network_is_never_new(tmp_path: Path) -> None:
    assert not is_new_chain(options_of(tmp_path, devnet_port=None))


def test_a_fresh_chain_starts_without_its_state(tmp_path: Path, wallets: list[Path]) -> None:
    chain = options_of(tmp_path).chain_folder
    (chain / "blocks" / "1").mkdir(parents=True)
    (chain / "genesis").touch()
    (chain / LOCK_FILE).touch()
    prepare_home(options_of(tmp_path))
    assert (chain / "genesis").exists()
    prepare_home(options_of(tmp_path, fresh=True))
    assert [path.name for path in chain.iterdir()] == [LOCK_FILE]
    assert wallets == [tmp_path, tmp_path]


def test_only_the_devnet_needs_wallets(tmp_path: Path, wallets: list[Path]) -> None:
    prepare_home(options_of(tmp_path, devnet_port=None))
    assert not wallets
