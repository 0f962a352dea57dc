"""A setting that `pylon up` decides itself is reported if the operator gave another value."""

from pathlib import Path

import pytest

from pylon.cli.up.overridden_settings import overridden_variables, warn_of_overridden

OWN = {
    "PYLON_BRIDGE_HOST": "127.0.0.1",
    "PYLON_OPEN_ACCESS_TOKEN": "",
    "PYLON_IDENTITIES": '["sn1"]',
    "PYLON_HOME": "/a/home",
    "PYLON_NATS_CA_FILE": "",
    "BITTENSOR_RUNTIME_CACHE_DIR": "/a/home/cache",
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_given_values_without_an_effect_are_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text("pylon_open_access_token=a-secret\nPYLON_LOG_LEVEL=DEBUG\n")
    monkeypatch.setenv("PYLON_BRIDGE_HOST", "0.0.0.0")
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN_FILE", "/a-file")
    warn_of_overridden(overridden_variables(OWN), "pylon up")
    (record,) = caplog.records
    assert record.getMessage() == (
        "`pylon up` overrides these settings; their values have no effect: "
        "PYLON_BRIDGE_HOST (option --host), PYLON_OPEN_ACCESS_TOKEN, PYLON_OPEN_ACCESS_TOKEN_FILE"
    )


def test_equal_and_empty_values_are_not_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text('PYLON_IDENTITIES=["sn1"]\nPYLON_HOME=home\nPYLON_NATS_CA_FILE=\n')
    monkeypatch.setenv("PYLON_BRIDGE_HOST", "127.0.0.1")
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", "/elsewhere")
    warn_of_overridden(overridden_variables(OWN), "pylon up")
    assert caplog.records == []
