"""Settings of the deployment and of its identities."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsError

from bridge.auth import Authenticator
from bridge.settings import BridgeSettings
from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.permissions import nats_users
from pylon.worker.settings import WorkerSettings

VALUE = "a-value-that-may-be-secret"

IDENTITIES = {
    "PYLON_IDENTITIES": '["sn1", "sn2"]',
    "PYLON_ID_SN1_NETUID": "1",
    "PYLON_ID_SN1_TOKEN": "token-of-sn1",
    "PYLON_ID_SN2_NETUID": "2",
    "PYLON_ID_SN2_TOKEN": "token-of-sn2",
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_errors_of_all_identities_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_IDENTITIES", '["sn1", "my-sn2"]')
    monkeypatch.setenv("PYLON_ID_SN1_TOKEN", "")
    monkeypatch.setenv("PYLON_ID_MY_SN2_NETUID", "2")
    monkeypatch.setenv("PYLON_ID_MY_SN2_HOTKEY_SS58", VALUE)
    with pytest.raises(SettingsError) as caught:
        _ = WorkerSettings().identities_with_tokens
    assert str(caught.value).splitlines() == [
        "PYLON_ID_SN1_NETUID: required",
        "PYLON_ID_SN1_TOKEN: must not be empty",
        "PYLON_ID_MY_SN2_TOKEN: required",
        "PYLON_ID_MY_SN2_HOTKEY_SS58: is not an ss58 address",
    ]


def test_only_processes_that_check_tokens_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_IDENTITIES", '["sn1", "sn2"]')
    monkeypatch.setenv("PYLON_ID_SN1_NETUID", "1")
    monkeypatch.setenv("PYLON_ID_SN2_NETUID", "2")
    monkeypatch.setenv("PYLON_ID_SN2_TOKEN", "")
    assert WorkerSettings().netuids == [1, 2]
    for read in (lambda: Authenticator(BridgeSettings()), lambda: nats_users(_passwords())):
        with pytest.raises(SettingsError) as caught:
            read()
        assert str(caught.value).splitlines() == [
            "PYLON_ID_SN1_TOKEN: required",
            "PYLON_ID_SN2_TOKEN: must not be empty",
        ]


def _passwords() -> DeploymentSettings:
    worker, bridge = SecretStr("w" * 32), SecretStr("b" * 32)
    return DeploymentSettings(nats_worker_password=worker, nats_bridge_password=bridge)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("line\nbreak", "printable ASCII"),
        ("tab\there", "printable ASCII"),
        ("delete\x7f", "printable ASCII"),
        ("zażółć", "printable ASCII"),
        ("für", "printable ASCII"),
        (" leading", "spaces at its ends"),
        ("trailing ", "spaces at its ends"),
    ],
)
@pytest.mark.parametrize(
    "variable", ["PYLON_OPEN_ACCESS_TOKEN", "PYLON_METRICS_TOKEN", "PYLON_ID_SN1_TOKEN"]
)
def test_a_token_that_is_not_valid_in_a_header_is_rejected_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, token: str, why: str
) -> None:
    for name, text in (IDENTITIES | {variable: token}).items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as caught:
        _ = BridgeSettings().identity_settings
    assert str(caught.value).startswith(f"{variable}: a request's header cannot carry it")
    assert why in str(caught.value)
    assert token.strip() not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "pair"),
    [
        ({"PYLON_ID_SN2_TOKEN": "token-of-sn1"}, "PYLON_ID_SN1_TOKEN and PYLON_ID_SN2_TOKEN"),
        (
            {"PYLON_OPEN_ACCESS_TOKEN": "token-of-sn1"},
            "PYLON_OPEN_ACCESS_TOKEN and PYLON_ID_SN1_TOKEN",
        ),
        ({"PYLON_METRICS_TOKEN": "token-of-sn2"}, "PYLON_METRICS_TOKEN and PYLON_ID_SN2_TOKEN"),
        (
            {"PYLON_NATS_WORKER_PASSWORD": "token-of-sn1"},
            "PYLON_NATS_WORKER_PASSWORD and PYLON_ID_SN1_TOKEN",
        ),
        (
            {"PYLON_NATS_WORKER_PASSWORD": "open", "PYLON_OPEN_ACCESS_TOKEN": "open"},
            "PYLON_NATS_WORKER_PASSWORD and PYLON_OPEN_ACCESS_TOKEN",
        ),
    ],
)
def test_equal_secrets_are_rejected(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], pair: str
) -> None:
    for name, text in (IDENTITIES | variables).items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError) as caught:
        _ = WorkerSettings().identity_settings
    assert str(caught.value) == f"{pair} are equal: choose different secrets"


def test_metrics_and_open_access_may_share_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"PYLON_METRICS_TOKEN": "shared", "PYLON_OPEN_ACCESS_TOKEN": "shared"}
    for name, text in (IDENTITIES | shared).items():
        monkeypatch.setenv(name, text)
    assert len(WorkerSettings().identity_settings) == 2
