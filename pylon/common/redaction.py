"""Redaction of secrets in logs and error reports."""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from pylon.common.deployment_settings import DeploymentSettings

HIDDEN: Final = "[secret]"
MIN_SUBSTRING_CHARS: Final = 6
"""Minimum length of secrets that are replaced within words; shorter ones match whole words."""
MAX_NESTED: Final = 32

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_BEARER = re.compile(r"(?<=[Bb]earer )[^\s\"']+")
_NOTHING = re.compile(r"(?!)")
_BETWEEN_URLS = re.compile(r"\s*,\s*(?=[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_PUBLIC_PARTS = re.compile(
    r"\d{1,3}|v\d+|wss?|https?|rpc|jsonrpc|api|node|public|archive|mainnet|testnet|finney|test"
    r"|keys?|api[-_]?keys?|tokens?|true|false|yes|no"
)
"""Common parts of URLs that are not secrets; redacting them would make logs unreadable."""


class Redactor:
    """Replaces known secrets, and credentials in URLs and bearer tokens, by `[secret]`."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern = _NOTHING

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Add secrets to redact, including their encodings in URLs and JSON."""
        self._secrets |= {spelt for one in secrets if one for spelt in _encodings(one)}
        # The longest first: a secret may be a prefix of another.
        ordered = sorted(self._secrets, key=lambda one: (-len(one), one))
        self._pattern = re.compile("|".join(map(_secret_pattern, ordered))) if ordered else _NOTHING

    def redact_text(self, text: str) -> str:
        """Return a text with secrets replaced."""
        shown = self._pattern.sub(HIDDEN, text)
        return _BEARER.sub(HIDDEN, _CREDENTIALS.sub(HIDDEN, shown))

    def redact_value(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON-like value with secrets replaced in its keys and values."""
        if depth > MAX_NESTED:
            return HIDDEN
        match value:
            case str():
                return self.redact_text(value)
            case bytes():
                return self.redact_text(value.decode(errors="replace"))
            case Mapping():
                return {
                    self.redact_text(str(key)): self.redact_value(inner, depth + 1)  # pyright: ignore[reportUnknownArgumentType] -- JSON-like
                    for key, inner in value.items()  # pyright: ignore[reportUnknownVariableType] -- the same
                }
            case list() | tuple() | set():
                return [self.redact_value(inner, depth + 1) for inner in value]  # pyright: ignore[reportUnknownVariableType] -- the same
            case _:
                return value


def collect_secrets(settings: DeploymentSettings) -> list[str]:
    """Return every secret of a deployment's settings, the parts of their URLs included."""
    found: list[str] = []
    for one in (settings, *settings.identity_settings.values()):
        for value in vars(one).values():
            if isinstance(value, SecretStr):
                found += [value.get_secret_value()]
            elif isinstance(value, str) and "://" in value:
                for url in _BETWEEN_URLS.split(value):
                    with contextlib.suppress(ValueError):  # not a URL
                        found += secret_parts(url)
    return [secret for secret in found if secret]


def secret_parts(url: str) -> list[str]:
    """Return the parts of a URL that may be secret: everything but its scheme, host and port.

    Raises:
        ValueError: it is not a URL.
    """
    parts = urlsplit(url)
    names_and_values = parse_qsl(parts.query, keep_blank_values=True)
    written = {
        *parts.netloc.rpartition("@")[0].split(":", 1),
        parts.path.strip("/"),
        *parts.path.split("/"),
        parts.query,
        *(item.partition("=")[2] for item in parts.query.split("&")),
        parts.fragment,
    }
    found = {*written, *map(unquote, written), *(value or name for name, value in names_and_values)}
    return sorted(part for part in found if part and not _PUBLIC_PARTS.fullmatch(part))


def _encodings(secret: str) -> set[str]:
    within_json = {json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    return {secret, quote(secret, safe=""), quote_plus(secret)} | within_json


def _secret_pattern(secret: str) -> str:
    sought = re.escape(secret)
    return sought if len(secret) >= MIN_SUBSTRING_CHARS else rf"(?<!\w){sought}(?!\w)"


REDACTOR: Final = Redactor()
"""The redactor of this process."""
