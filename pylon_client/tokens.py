"""Rules for tokens: valid characters in headers, and secrets that must differ."""

from collections.abc import Mapping
from itertools import combinations
from typing import Final

from pydantic import SecretStr

NATS_PASSWORD_PREFIX: Final = "PYLON_NATS_"  # noqa: S105 -- names of variables begin so
MAY_BE_EQUAL: Final = {"PYLON_METRICS_TOKEN", "PYLON_OPEN_ACCESS_TOKEN"}


def require_header_text(token: SecretStr) -> SecretStr:
    """Return a token if it is valid in the header `Authorization`; it may be empty.

    Raises:
        ValueError: the token is not valid; the text does not contain it.
    """
    require_header_characters(token.get_secret_value())
    return token


def require_header_characters(text: str) -> str:
    """Return the text of a token if it is valid in the header `Authorization`; it may be empty.

    The service and the client share this rule, so the client can send every configured token.

    Raises:
        ValueError: the token is not valid; the text does not contain it.
    """
    if not (text.isascii() and text.isprintable()):
        raise ValueError(
            "a request's header cannot carry it: use printable ASCII characters, without line "
            "breaks or other control characters"
        )
    if text != text.strip():
        raise ValueError("a request's header cannot carry it: remove the spaces at its ends")
    return text


def equal_secrets(secrets: Mapping[str, SecretStr]) -> list[str]:
    """Return a line for each pair of equal secrets that must differ.

    A holder of one secret could act as a holder of the other. NATS passwords may be equal to each
    other, and so may the tokens of the metrics and of open access.

    Args:
        secrets: the secrets by their variables; empty ones are skipped.
    """
    given = [(name, secret) for name, secret in secrets.items() if secret.get_secret_value()]
    return [
        f"{one} and {other} are equal: choose different secrets"
        for (one, secret), (other, another) in combinations(given, 2)
        if secret.get_secret_value() == another.get_secret_value()
        and not (one.startswith(NATS_PASSWORD_PREFIX) and other.startswith(NATS_PASSWORD_PREFIX))
        and {one, other} != MAY_BE_EQUAL
    ]
