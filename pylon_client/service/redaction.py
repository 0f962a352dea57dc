"""Keeping what is secret out of everything that is written down."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import SecretStr

from pylon_client.deployment import DeploymentSettings

HIDDEN: Final = "[secret]"
SECRET_MIN_CHARS: Final = 6
"""What is shorter would be found in the middle of words."""
NESTED_MAX: Final = 32

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_BEARER = re.compile(r"(?<=[Bb]earer )[^\s\"']+")


class Redactor:
    """Replaces every secret that it has been told of, and what looks like one by its place."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these too."""
        known = {*self._secrets, *(one for one in secrets if len(one) >= SECRET_MIN_CHARS)}
        # The longest first: a secret may begin with another.
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The same text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _BEARER.sub(HIDDEN, _CREDENTIALS.sub(HIDDEN, text))

    def tree(self, value: Any, depth: int = 0) -> Any:
        """The same JSON-like value without secrets, in its keys and its values."""
        if depth > NESTED_MAX:
            return HIDDEN
        match value:
            case str():
                return self.text(value)
            case bytes():
                return self.text(value.decode(errors="replace"))
            case Mapping():
                return {
                    self.text(str(key)): self.tree(inner, depth + 1)  # pyright: ignore[reportUnknownArgumentType] -- JSON-like
                    for key, inner in value.items()  # pyright: ignore[reportUnknownVariableType] -- the same
                }
            case list() | tuple() | set():
                return [self.tree(inner, depth + 1) for inner in value]  # pyright: ignore[reportUnknownVariableType] -- the same
            case _:
                return value


def secrets_of(settings: DeploymentSettings) -> list[str]:
    """Every secret that a deployment's settings hold."""
    everywhere = [settings, *settings.identity_settings.values()]
    return [
        value.get_secret_value()
        for one in everywhere
        for value in vars(one).values()
        if isinstance(value, SecretStr) and value.get_secret_value()
    ]


REDACTOR: Final = Redactor()
"""The one of this process."""
