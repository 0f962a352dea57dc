"""Every mistake in the settings is a line that names the variable and does not show its value."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsError

from bridge.auth import Authenticator
from bridge.settings import BridgeSettings
from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.environment_settings import EnvironmentSettings
from pylon.common.logs import LogSettings
from pylon.nats_server.permissions import nats_users
from pylon.nats_server.server_access import ServerAccessSettings
from pylon.worker.settings import WorkerSettings

VALUE = "a-value-that-may-be-secret"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def mistakes(settings: type[EnvironmentSettings]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings()
    assert VALUE not in str(caught.value)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("settings", "variable", "value", "mistake"),
    [
        (WorkerSettings, "PYLON_MAX_REQUESTS", VALUE, ": should be a valid integer"),
        (WorkerSettings, "PYLON_WORKER_ROLE", VALUE, ": should be 'reader', 'signer' or 'all'"),
        (WorkerSettings, "PYLON_IDENTITIES", VALUE, ': must be a JSON list like ["sn1"]'),
        (WorkerSettings, "PYLON_IDENTITIES", f'{{"a": "{VALUE}"}}', ": must be a JSON list"),
        (WorkerSettings, "PYLON_IDENTITIES", f'["a", "{VALUE} "]', ": item 2 cannot name"),
        (WorkerSettings, "PYLON_IDENTITIES", '["a-b", "A_B"]', ": two identities would share"),
        (WorkerSettings, "PYLON_TRACKED_NETUIDS", "1, 2", ": must be a JSON list like [1, 12]"),
        (WorkerSettings, "PYLON_TRACKED_NETUIDS", f'[1, "{VALUE}"]', " item 2: should be a valid"),
        (WorkerSettings, "PYLON_NATS_URL", f"nats://{VALUE}:abc", ": must look like nats://"),
        (BridgeSettings, "PYLON_NATS_URL", f"nats://{VALUE}:99999", ": must look like nats://"),
        (BridgeSettings, "PYLON_NATS_URL", f"nats://a:1,nats://[{VALUE}", ": must look like"),
        (WorkerSettings, "PYLON_NATS_URL", f"{VALUE}:4222", ": must look like nats://"),
        (WorkerSettings, "PYLON_NATS_URL", f"nats://{VALUE}@a:4222", ": must not carry cred"),
        (WorkerSettings, "PYLON_NATS_URL", " , ", ": must be given"),
        (BridgeSettings, "PYLON_BRIDGE_PORT", "65536", ": should be less than or equal to 65535"),
        (BridgeSettings, "PYLON_MAX_REQUEST_TIMEOUT_SECONDS", "1", ""),
        (ServerAccessSettings, "PYLON_NATS_SERVER_CERT_FILE", VALUE, ": set it and _KEY_FILE"),
        (LogSettings, "PYLON_LOG_LEVEL", VALUE, ": choose DEBUG, INFO, WARNING or ERROR"),
        (LogSettings, "PYLON_LOG_FORMAT", VALUE, ": should be 'auto', 'json' or 'human'"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
    settings: type[EnvironmentSettings],
    variable: str,
    value: str,
    mistake: str,
) -> None:
    monkeypatch.setenv(variable, value)
    (line,) = mistakes(settings)
    assert variable in line
    assert line.startswith(variable + mistake) or not mistake


def test_there_is_a_line_for_each_mistake() -> None:
    Path(".env").write_text(
        f"PYLON_IDENTITIES={VALUE}\nPYLON_TRACKED_NETUIDS={VALUE}\nPYLON_CHAIN_TIMEOUT_SECONDS=-1\n"
    )
    assert [line.partition(":")[0] for line in mistakes(WorkerSettings)] == [
        "PYLON_IDENTITIES",
        "PYLON_TRACKED_NETUIDS",
        "PYLON_CHAIN_TIMEOUT_SECONDS",
    ]


def test_so_there_is_over_all_identities(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("name", ["NATS_CA_FILE", "BITTENSOR_WALLET_PATH", "HEALTH_PORT"])
def test_what_may_be_none_is_none_when_it_is_empty(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"PYLON_{name}", "")
    assert getattr(WorkerSettings(), name.lower()) is None


def test_of_a_file_that_another_setting_overrules_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("PYLON_OPEN_ACCESS_TOKEN_FILE=/nowhere\n")
    assert "PYLON_OPEN_ACCESS_TOKEN_FILE" in mistakes(WorkerSettings)[0]
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")
    assert WorkerSettings().open_access_token.get_secret_value() == ""


IDENTITIES = {
    "PYLON_IDENTITIES": '["sn1", "sn2"]',
    "PYLON_ID_SN1_NETUID": "1",
    "PYLON_ID_SN1_TOKEN": "token-of-sn1",
    "PYLON_ID_SN2_NETUID": "2",
    "PYLON_ID_SN2_TOKEN": "token-of-sn2",
}


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
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(
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
def test_a_secret_that_opens_two_doors_is_refused(
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


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("PYLON_LOG_LEVEL=DEBUG\n".encode("utf-16"), "is UTF-16 or binary: save it as UTF-8"),
        ("PYLON_LOG_LEVEL=DEBUG\n".encode("utf-16-le"), "is UTF-16 or binary: save it as UTF-8"),
        (
            "PYLON_LOG_LEVEL=DEBUG\n# für uns\n".encode("latin-1"),
            "line 2 is not UTF-8 (perhaps Latin-1): save it as UTF-8",
        ),
    ],
)
def test_an_env_file_of_another_encoding_is_told(content: bytes, why: str) -> None:
    Path(".env").write_bytes(content)
    (line,) = mistakes(LogSettings)
    assert line == f"{Path('.env').absolute()} {why}"


@pytest.mark.parametrize(
    "line",
    ['PYLON_OPEN_ACCESS_TOKEN="a-secret', "PYLON_OPEN_ACCESS_TOKEN 'a-secret'", "=a-secret"],
)
def test_a_line_that_cannot_be_parsed_is_named_instead_of_skipped(line: str) -> None:
    Path(".env").write_text(f"# first\n\n{line}\nPYLON_LOG_LEVEL=DEBUG\n")
    (text,) = mistakes(LogSettings)
    assert text.startswith(f"{Path('.env').absolute()} line 3 cannot be parsed: write NAME=value")
    assert "a-secret" not in text


@pytest.mark.parametrize(
    "line", ["", "# comment", "export A=1", "A = 1 ", "A", "A='1' # one", 'A="1\n2"', "A-B=1\r"]
)
def test_other_spellings_of_a_line_are_accepted(line: str) -> None:
    Path(".env").write_text(f"{line}\nPYLON_LOG_LEVEL=DEBUG\n")
    assert LogSettings().log_level == "DEBUG"


def test_a_byte_order_mark_of_utf_8_is_passed_over() -> None:
    Path(".env").write_bytes("PYLON_LOG_LEVEL=DEBUG\n".encode("utf-8-sig"))
    assert LogSettings().log_level == "DEBUG"


def test_another_env_file_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PYLON_LOG_LEVEL=DEBUG\n")
    Path("other.env").write_text("PYLON_LOG_LEVEL=ERROR\n")
    monkeypatch.setenv("PYLON_ENV_FILE", "other.env")
    assert LogSettings().log_level == "ERROR"
    monkeypatch.setenv("PYLON_ENV_FILE", "")
    assert LogSettings().log_level == "INFO"
    monkeypatch.setenv("PYLON_ENV_FILE", "nowhere.env")
    assert mistakes(LogSettings) == [
        "PYLON_ENV_FILE: nowhere.env cannot be read: No such file or directory"
    ]
