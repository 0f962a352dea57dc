"""Redaction of secrets in texts and values."""

import json
import logging
from urllib.parse import quote, quote_plus

import pytest

from pylon.common import logs
from pylon.common.redaction import Redactor, collect_secrets, secret_parts
from pylon.worker.settings import WorkerSettings
from tests.support.product.deployment import (
    BRIDGE_PASSWORD,
    READER_PASSWORD,
    WORKER_PASSWORD,
    deployment_settings,
    token_of,
)

NODE = "wss://us%65r:pa%2Fss@node.example:443/v1/path-key-1/k9?apikey=query-key-2&bare-key-3#mark-4"


@pytest.fixture
def redactor(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """Return the redactor of this process for one test alone."""
    made = Redactor()
    monkeypatch.setattr(logs, "REDACTOR", made)
    return made


def test_the_longest_is_hidden_first_and_in_everything(redactor: Redactor) -> None:
    redactor.add_secrets(["secret-1", "secret-123", "abc"])
    tree = {"secret-123": ["x secret-1 y", ("Bearer abcdef",)], "abcd": 5}
    assert redactor.redact_value(tree) == {
        "[secret]": ["x [secret] y", ["Bearer [secret]"]],
        "abcd": 5,
    }


@pytest.mark.parametrize("token", ["x", "t0k", "$^", "12345", "sévé"])
def test_a_short_token_is_hidden_as_a_word_and_nowhere_else(redactor: Redactor, token: str) -> None:
    redactor.add_secrets([token])
    assert redactor.redact_text(f"token={token}, '{token}': {token}.") == (
        "token=[secret], '[secret]': [secret]."
    )
    assert redactor.redact_text(f"a{token}b {token}_ _{token}") == f"a{token}b {token}_ _{token}"


@pytest.mark.parametrize(
    "token", ['quo"ted-token', "back\\slash-token", "with space/token", "tökén-x"]
)
def test_a_secret_is_hidden_as_it_is_spelt_in_urls_and_json(redactor: Redactor, token: str) -> None:
    redactor.add_secrets([token])
    for spelt in (token, json.dumps(token), quote(token, safe=""), quote_plus(token)):
        assert redactor.redact_text(f"<{spelt.strip(chr(34))}>") == "<[secret]>"


def test_no_secret_means_nothing_is_hidden(redactor: Redactor) -> None:
    redactor.add_secrets([""])
    assert redactor.redact_text("all of it") == "all of it"


def test_every_part_of_a_url_behind_its_host_may_be_secret() -> None:
    assert set(secret_parts(NODE)) == {
        *("us%65r", "user", "pa%2Fss", "pa/ss"),
        *("path-key-1", "k9", "v1/path-key-1/k9"),
        *("query-key-2", "bare-key-3", "apikey=query-key-2&bare-key-3", "mark-4"),
    }
    assert secret_parts("wss://entrypoint.example:443/ws/v2/rpc?archive=true&n=12") == [
        "archive=true&n=12",
        "ws/v2/rpc",
    ]
    assert secret_parts("wss://[::1]:9944") == []


def test_the_secrets_are_all_those_of_the_settings() -> None:
    settings = deployment_settings(
        "nats://a:4222/in-path,nats://b:4222?in=query",
        identities={"alice": 1},
        open_access_token="open-token",
    )
    assert set(collect_secrets(settings)) == {
        *(WORKER_PASSWORD, BRIDGE_PASSWORD, READER_PASSWORD),
        *("open-token", token_of("alice")),
        *("in-path", "query", "in=query"),
    }


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.HumanFormatter()])
def test_a_log_line_holds_no_part_of_a_nodes_url(
    redactor: Redactor, formatter: logging.Formatter
) -> None:
    settings = WorkerSettings(
        bittensor_network=NODE,
        bittensor_archive_network="wss://archive.example/ark-5,with-comma?x=y6",
    )
    redactor.add_secrets(collect_secrets(settings))
    text = formatter.format(
        logging.LogRecord(
            *("pylon.test", logging.INFO, "file", 1, "Connected to %s; %s; %s"),
            (NODE, "GET /v1/path-key-1/k9 apikey: query-key-2", settings.bittensor_archive_network),
            None,
        )
    )
    for part in ("us%65r", "pa%2Fss", "path-key-1", "k9", "query-key-2", "bare-key-3", "mark-4"):
        assert part not in text
    assert not [part for part in ("ark-5", "with-comma", "y6") if part in text]
    assert "node.example:443" in text
    assert "archive.example" in text


def test_the_fields_of_a_line_keep_their_names(redactor: Redactor) -> None:
    redactor.add_secrets(["event", "level", "INFO"])
    record = logging.LogRecord("pylon", logging.INFO, "file", 1, "an event of INFO", (), None)
    line = json.loads(logs.JsonFormatter().format(record))
    assert line["level"] == "INFO"
    assert line["event"] == "an [secret] of [secret]"
