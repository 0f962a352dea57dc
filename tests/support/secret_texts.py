"""Tokens and passwords of tests, which nobody could mistake for anything else.

Each holds the mark, so that whoever finds the mark in what the product has written has found a
secret, whichever it is.
"""

MARK = "pylon-test-secret"


def secret_of(owner: str) -> str:
    """The token or password of whoever is named."""
    return f"{MARK}-of-{owner}"
