"""The NATS user of workers."""

from pathlib import Path

import pytest

from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.worker_user import worker_connection_options
from tests.support.product.secret_texts import secret_of


@pytest.fixture(autouse=True)
def _no_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_password_a_worker_has_no_credentials_but_its_own_inboxes() -> None:
    options = worker_connection_options(DeploymentSettings(), "name")
    assert (options.user, options.password, options.inbox_user) == (None, "", "worker")
    assert options.name == "name"


@pytest.mark.parametrize(("is_confined", "user"), [(False, "worker"), (True, "reader")])
def test_the_password_belongs_to_the_user(
    monkeypatch: pytest.MonkeyPatch, user: str, *, is_confined: bool
) -> None:
    for name in ("worker", "reader"):
        monkeypatch.setenv(f"PYLON_NATS_{name.upper()}_PASSWORD", secret_of(name))
    monkeypatch.setenv("PYLON_NATS_URL", "nats://a:1,nats://b:2")
    options = worker_connection_options(DeploymentSettings(), "name", is_confined=is_confined)
    assert (options.user, options.inbox_user, options.password) == (user, user, secret_of(user))
    assert options.urls == ("nats://a:1", "nats://b:2")
