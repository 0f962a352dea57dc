"""The password of the bridge's NATS user."""

from pathlib import Path

import pytest

from pylon.cli.up.bridge_password import bridge_password
from tests.support.product.secret_texts import secret_of

VARIABLE = "PYLON_NATS_BRIDGE_PASSWORD"


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_configured_password_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"{VARIABLE}={secret_of('from-file')}\n")
    assert bridge_password() == secret_of("from-file")
    monkeypatch.setenv(VARIABLE, secret_of("bridge"))
    assert bridge_password() == secret_of("bridge")


@pytest.mark.parametrize("configured", [None, ""])
def test_otherwise_every_run_has_a_random_one(
    monkeypatch: pytest.MonkeyPatch, configured: str | None
) -> None:
    if configured is not None:
        monkeypatch.setenv(VARIABLE, configured)
    first, second = bridge_password(), bridge_password()
    assert first != second
    assert len(first) >= 32
