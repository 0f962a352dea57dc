"""Write the generated files: three documents in `docs/`, and the names of all settings.

Each process needs all names of settings, but imports only its own settings classes.

python scripts/documents.py            writes the files
python scripts/documents.py --check    names the files that are out of date
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
# The path of a script begins with its own folder; the packages are beside it.
sys.path.insert(0, str(ROOT))

from pydantic import SecretStr  # noqa: E402 -- after the path

from bridge.main import create_app  # noqa: E402 -- the same
from bridge.settings import BridgeSettings  # noqa: E402 -- the same
from pylon_client.contract.asyncapi import asyncapi_document  # noqa: E402 -- the same
from pylon_client.events.feed import FeedEvent  # noqa: E402 -- the same
from pylon_client.nats.nats_reply import Reply  # noqa: E402 -- the same
from scripts.settings_page import known_variables, settings_page  # noqa: E402 -- the same


class _NoNats:
    """A stand-in for NATS, which is not used while a document is written."""

    is_connected = False

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        raise NotImplementedError

    def subscribe(
        self, subject: str, callback: Callable[[bytes], None]
    ) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    async def follow(self, subject: str, receive: Callable[[Sequence[FeedEvent]], None]) -> None:
        raise NotImplementedError


def openapi_document() -> dict[str, Any]:
    """Return the REST API of a deployment with an open access token, whatever the environment."""
    settings = BridgeSettings.model_construct(open_access_token=SecretStr("any"))
    return create_app(settings, _NoNats()).openapi()


def json_of(document: dict[str, Any]) -> str:
    """Return a document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


DOCUMENTS: Final[Mapping[str, Callable[[], str]]] = {
    "docs/openapi.json": lambda: json_of(openapi_document()),
    "docs/asyncapi.json": lambda: json_of(asyncapi_document()),
    "docs/settings.md": settings_page,
    "pylon/common/known_variables.py": known_variables,
}


def text_of(name: str) -> str:
    """Return the text of a document, by its path."""
    return DOCUMENTS[name]()


def main() -> int:
    """Write or check the files; return 1 if a checked file is out of date."""
    stale = [name for name in DOCUMENTS if _committed(name) != text_of(name)]
    if "--check" in sys.argv:
        for name in stale:
            sys.stderr.write(f"{name} is out of date: run python scripts/documents.py\n")
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(text_of(name))
    return 0


def _committed(name: str) -> str:
    path = ROOT / name
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
