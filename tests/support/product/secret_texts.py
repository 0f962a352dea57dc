"""Tokens, passwords and keys of tests.

Each holds the mark: a file or a log that holds the mark has leaked a secret.
"""

from urllib.parse import urlsplit

MARK = "pylon-test-secret"
SHORT_SECRET = "zq7xk"
"""A token that is too short to hold the mark; it is searched for as a word."""


def secret_of(owner: str) -> str:
    """Return the token or password of an owner."""
    return f"{MARK}-of-{owner}"


def with_keys(node: str) -> str:
    """Return the URL of a node with keys in its path and its query, as providers of nodes give.

    A network's name, and a URL that has a path or a query already, stay as they are.
    """
    parts = urlsplit(node)
    if parts.scheme not in {"ws", "wss"} or parts.path.strip("/") or parts.query:
        return node
    path = f"v1/{secret_of('node-path')}/{SHORT_SECRET}"
    return f"{node.rstrip('/')}/{path}?apikey={secret_of('node-query')}"
