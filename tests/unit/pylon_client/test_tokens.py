"""Rules for tokens."""

import pytest
from pydantic import SecretStr

from pylon_client.tokens import equal_secrets, require_header_characters, require_header_text


@pytest.mark.parametrize("token", ["", "token", "with space", "~!"])
def test_tokens_of_printable_ascii_are_accepted(token: str) -> None:
    assert require_header_characters(token) == token
    assert require_header_text(SecretStr(token)).get_secret_value() == token


@pytest.mark.parametrize("token", ["für", "se\ncret", " secret", "secret ", "secret\x7f"])
def test_other_tokens_are_rejected_without_being_shown(token: str) -> None:
    with pytest.raises(ValueError, match="cannot carry it") as raised:
        require_header_characters(token)
    assert token.strip() not in str(raised.value)


def test_equal_secrets_are_reported_in_pairs() -> None:
    same = SecretStr("same")
    assert equal_secrets({"A": same, "B": same, "C": SecretStr("other"), "D": SecretStr("")}) == [
        "A and B are equal: choose different secrets"
    ]


def test_some_secrets_may_be_equal() -> None:
    same = SecretStr("same")
    passwords = {"PYLON_NATS_WORKER_PASSWORD": same, "PYLON_NATS_BRIDGE_PASSWORD": same}
    assert equal_secrets(passwords) == []
    assert equal_secrets({"PYLON_METRICS_TOKEN": same, "PYLON_OPEN_ACCESS_TOKEN": same}) == []
