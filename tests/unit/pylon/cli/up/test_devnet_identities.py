"""Identities of the simulated chain."""

import json
from pathlib import Path

import pytest

from pylon.cli.up import devnet_identities
from pylon.cli.up.devnet_identities import (
    HEAD_SILENCE_BLOCKS,
    IDENTITIES,
    MIN_HEAD_SILENCE_S,
    devnet_settings,
    identity_token,
    write_wallets,
)
from pylon.worker.settings import WorkerSettings

URL = "ws://127.0.0.1:9944"


@pytest.fixture
def _devnet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in devnet_settings(URL, tmp_path / "wallets", 2.0).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_devnet")
def test_the_settings_of_a_worker_are_valid_and_complete(tmp_path: Path) -> None:
    settings = WorkerSettings()
    assert settings.bittensor_network == settings.bittensor_archive_network == URL
    assert settings.bittensor_wallet_path == tmp_path / "wallets"
    assert {name: one.netuid for name, one in settings.identity_settings.items()} == IDENTITIES
    for name, identity in settings.identity_settings.items():
        assert identity.token.get_secret_value() == identity_token(name)
        assert (identity.wallet_name, identity.hotkey_name) == (name, "default")
    assert settings.netuids == sorted(set(IDENTITIES.values()))


@pytest.mark.parametrize(
    ("block_time_s", "silence_s"),
    [(0.25, MIN_HEAD_SILENCE_S), (12.0, HEAD_SILENCE_BLOCKS * 12.0)],
)
def test_short_blocks_may_be_late_by_seconds(block_time_s: float, silence_s: float) -> None:
    settings = devnet_settings(URL, Path("wallets"), block_time_s)
    assert float(settings["PYLON_HEAD_SILENCE_SECONDS"]) == silence_s
    assert json.loads(settings["PYLON_IDENTITIES"]) == list(IDENTITIES)


def test_every_identity_has_a_wallet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[tuple[Path, str, str]] = []
    monkeypatch.setattr(
        devnet_identities, "write_wallet", lambda *arguments: written.append(arguments)
    )
    folder = write_wallets(tmp_path)
    assert folder == tmp_path / "wallets"
    assert written == [(folder, name, "default") for name in IDENTITIES]
