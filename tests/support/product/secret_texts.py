"""Tokens, passwords and keys of tests.

Each contains `MARK`: a file or a log that contains it has leaked a secret.
"""

from urllib.parse import urlsplit

MARK = "pylon-test-secret"
SHORT_SECRET = "zq7xk"
"""A token that is too short to contain `MARK`; the search looks for it as a whole word."""


def secret_of(owner: str) -> str:
    """Return the token or password of an owner."""
    return f"{MARK}-of-{owner}"


def with_keys(node: str) -> str:
    """Return the URL of a node with keys in its path and its query, as node providers use them.

    The name of a network, and a URL with a path or a query, are returned unchanged.
    """
    parts = urlsplit(node)
    if parts.scheme not in {"ws", "wss"} or parts.path.strip("/") or parts.query:
        return node
    path = f"v1/{secret_of('node-path')}/{SHORT_SECRET}"
    return f"{node.rstrip('/')}/{path}?apikey={secret_of('node-query')}"
