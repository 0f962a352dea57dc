"""Variables without an effect are reported with the nearest known name."""

import logging
from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.known_variables import IDENTITY_FIELDS, VARIABLES
from pylon.common.variable_checks import (
    EXTERNAL_VARIABLES,
    IGNORED_VARIABLES,
    check_variables,
    deprecated_variables,
    ineffective_variables,
    unknown_variables,
)
from pylon.worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("PYLON_OPEN_ACESS_TOKEN", "did you mean PYLON_OPEN_ACCESS_TOKEN?"),
        ("pylon_open_acess_token", "did you mean PYLON_OPEN_ACCESS_TOKEN?"),
        ("PYLON_OPEN_ACCESS_TOKEN_FIEL", "did you mean PYLON_OPEN_ACCESS_TOKEN_FILE?"),
        ("PYLON_IDENTITES", "did you mean PYLON_IDENTITIES?"),
        ("PYLON_BRIGDE_PORT", "did you mean PYLON_BRIDGE_PORT?"),
        ("PYLON_ID_SN1_TOKN", "did you mean PYLON_ID_SN1_TOKEN?"),
        ("PYLON_ID_SN1_WALET_NAME", "did you mean PYLON_ID_SN1_WALLET_NAME?"),
        ("PYLON_SOMETHING_ELSE_ENTIRELY", "docs/settings.md lists all variables"),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_an_unknown_name_is_reported_with_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str, *, in_file: bool
) -> None:
    if in_file:
        Path(".env").write_text(f"{given}=a-secret\n")
    else:
        monkeypatch.setenv(given, "a-secret")
    assert unknown_variables(["sn1"]) == [
        f"{given.upper()} is not a setting of Pylon and has no effect: {meant}"
    ]


def test_variables_of_all_processes_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    of_identities = {f"PYLON_ID_MY_SN2_{field}" for field in IDENTITY_FIELDS}
    others = {
        "PYLON_CLIENT_ADDRESS": "http://x",
        "PYLON_TEST_FINNEY_METADATA": "x",
        "PYLON_BRIDGE_SERVICE_HOST": "10.0.0.1",
        "PYLON_BRIDGE_SERVICE_PORT_HTTP": "80",
        "PYLON_READER_PORT": "tcp://10.0.0.1:80",
        "PYLON_READER_PORT_80_TCP_ADDR": "10.0.0.1",
        "NOT_PYLONS": "x",
    }
    Path("other.env").touch()
    known = dict.fromkeys(VARIABLES | EXTERNAL_VARIABLES | of_identities, "x") | others
    for name, text in (known | {"PYLON_ENV_FILE": "other.env"}).items():
        monkeypatch.setenv(name, text)
    assert unknown_variables() == []


def test_a_deployment_starts_with_a_warning_or_if_it_is_strict_not_at_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACESS_TOKEN", "a-secret")
    line = (
        "PYLON_OPEN_ACESS_TOKEN is not a setting of Pylon and has no effect: "
        "did you mean PYLON_OPEN_ACCESS_TOKEN?"
    )
    check_variables(DeploymentSettings())
    assert caplog.record_tuples == [("pylon.common.variable_checks", logging.WARNING, line)]
    monkeypatch.setenv("PYLON_STRICT_SETTINGS", "true")
    with pytest.raises(SettingsError) as caught:
        check_variables(DeploymentSettings())
    assert str(caught.value) == line


def test_a_setting_of_the_published_service_is_reported_without_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text("PYLON_RECENT_OBJECTS_NETUIDS=[1, 12]\n")
    monkeypatch.setenv("PYLON_EVM_RPC_URL", "https://evm.example/v2/a-key")
    monkeypatch.setenv("PYLON_EVM_ARCHIVE_RPC_URL", "")
    monkeypatch.setenv("PYLON_OTEL_EXPORTER_ENDPOINT", "http://otel")
    monkeypatch.setenv("PYLON_STRICT_SETTINGS", "true")
    check_variables(DeploymentSettings())
    assert unknown_variables() == []
    assert [record.getMessage() for record in caplog.records] == [
        "PYLON_EVM_RPC_URL changes nothing: Pylon asks no EVM node",
        f"PYLON_OTEL_EXPORTER_ENDPOINT changes nothing: {IGNORED_VARIABLES['PYLON_OTEL_*']}",
        "PYLON_RECENT_OBJECTS_NETUIDS changes nothing: set PYLON_TRACKED_NETUIDS instead",
    ]
    assert len(ineffective_variables([])) == 3


def test_a_variable_of_an_identity_that_is_not_configured_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYLON_IDENTITIES", '["my-sn1"]')
    for name in ("MY_SN1_NETUID", "SN12_NETUID"):
        monkeypatch.setenv(f"PYLON_ID_{name}", "1")
    for name in ("MY_SN1_TOKEN_FILE", "SN12_TOKEN_FILE"):
        monkeypatch.setenv(f"PYLON_ID_{name}", "a-file")
    check_variables(DeploymentSettings())
    assert [record.getMessage() for record in caplog.records] == [
        "PYLON_ID_SN12_… changes nothing: no identity has that name; configured identities: my-sn1"
    ]


def test_a_deprecated_name_has_an_effect_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_CHAIN_TIMEOUT_S", "7")
    Path(".env").write_text("PYLON_HEAD_SILENCE_S=8\nPYLON_HEAD_SILENCE_SECONDS=9\n")
    settings = WorkerSettings()
    assert settings.chain_timeout_seconds == 7
    assert settings.head_silence_seconds == 9
    assert unknown_variables() == []
    assert deprecated_variables() == [
        f"{name}_S is deprecated and will be removed: set {name}_SECONDS instead"
        for name in ("PYLON_CHAIN_TIMEOUT", "PYLON_HEAD_SILENCE")
    ]
