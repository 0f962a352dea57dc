from pathlib import Path

import pytest
from pydantic_settings import SettingsError

from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.types import IdentityName

TOKEN = "a token of many characters"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def secret_file(folder: Path, content: bytes = TOKEN.encode() + b"\n") -> str:
    path = folder / "secret"
    path.write_bytes(content)
    return str(path)


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN_FILE", secret_file(tmp_path))
    assert DeploymentSettings().open_access_token.get_secret_value() == TOKEN


def test_so_may_an_identitys_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYLON_IDENTITIES", '["sn-1"]')
    monkeypatch.setenv("PYLON_ID_SN_1_NETUID", "1")
    monkeypatch.setenv("PYLON_ID_SN_1_TOKEN_FILE", secret_file(tmp_path))
    identity = DeploymentSettings().identity_settings[IdentityName("sn-1")]
    assert identity.token.get_secret_value() == TOKEN


def test_the_env_file_may_name_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"PYLON_NATS_WORKER_PASSWORD_FILE={secret_file(tmp_path)}\nPYLON_NATS_WORKER_PASSWORD=\n"
    )
    assert DeploymentSettings().nats_worker_password.get_secret_value() == TOKEN


def test_the_environment_wins_over_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PYLON_OPEN_ACCESS_TOKEN=of-the-env-file\n")
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN_FILE", secret_file(tmp_path))
    assert DeploymentSettings().open_access_token.get_secret_value() == TOKEN


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff" + TOKEN.encode(), "is not UTF-8"),
        (b"x" * 70_000, "too large"),
        (b"", "is empty"),
        (b"\r\n", "is empty"),
    ],
)
def test_an_invalid_secret_file_is_reported_without_its_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = str(tmp_path / "absent") if content is None else secret_file(tmp_path, content)
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN_FILE", path)
    with pytest.raises(SettingsError, match=reason) as caught:
        DeploymentSettings()
    assert "PYLON_OPEN_ACCESS_TOKEN_FILE" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_secret_is_given_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN_FILE", secret_file(tmp_path))
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "another-token")
    with pytest.raises(SettingsError, match="not both") as caught:
        DeploymentSettings()
    assert "another-token" not in str(caught.value)


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYLON_NATS_URL_FILE", secret_file(tmp_path))
    assert DeploymentSettings().nats_url == "nats://127.0.0.1:4222"
