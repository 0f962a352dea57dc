"""Error reports to Sentry."""

import sys
from typing import Any

import pytest
import sentry_sdk
from pydantic import SecretStr
from pydantic_settings import SettingsError
from sentry_sdk.utils import BadDsn

from pylon.common import sentry
from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.redaction import REDACTOR
from pylon.common.sentry import set_up_sentry
from tests.support.product.secret_texts import secret_of

DSN = "https://key@sentry.example/1"


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options and the tags with which the library was set up."""
    options: dict[str, Any] = {}

    def init(**given: Any) -> None:
        if given["dsn"] != DSN:
            raise BadDsn(given["dsn"])
        options.update(given)

    monkeypatch.setattr(sentry_sdk, "init", init)
    monkeypatch.setattr(sentry_sdk, "set_tag", options.__setitem__)
    return options


def settings_with(dsn: str) -> DeploymentSettings:
    return DeploymentSettings(sentry_dsn=SecretStr(dsn), sentry_environment="test")


def test_without_a_dsn_the_library_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)  # an import would fail
    set_up_sentry(settings_with(""), "worker")


def test_reports_name_the_release_and_the_process_and_no_data(options: dict[str, Any]) -> None:
    set_up_sentry(settings_with(DSN), "worker")
    assert options["environment"] == "test"
    assert options["release"].startswith("pylon-service@")
    assert options["component"] == "worker"
    assert options["send_default_pii"] is False
    assert options["include_local_variables"] is False
    assert options["max_request_body_size"] == "never"


@pytest.mark.usefixtures("options")
def test_an_invalid_dsn_is_an_error_of_the_settings_without_the_dsn() -> None:
    with pytest.raises(SettingsError, match="PYLON_SENTRY_DSN") as raised:
        set_up_sentry(settings_with("confidential"), "worker")
    assert "confidential" not in str(raised.value)


def test_events_are_sent_without_request_data_and_secrets() -> None:
    scrub: Any = vars(sentry)["_scrub_event"]
    REDACTOR.add_secrets([secret_of("sentry")])
    event = {
        "request": {"url": "x"},
        "user": {"id": 1},
        "extra": {"a": 1},
        "message": f"refused {secret_of('sentry')}",
        "breadcrumbs": {"values": [{"message": secret_of("sentry")}]},
    }
    scrubbed = scrub(event, None)
    assert set(scrubbed) == {"message", "breadcrumbs"}
    assert secret_of("sentry") not in str(scrubbed)
