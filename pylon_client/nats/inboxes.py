"""Unpredictable names of inboxes."""

import secrets
from typing import Final

RANDOM_BYTES: Final = 16
"""Random bytes per name: 128 bits, in base64url the 22 characters of a NUID."""


class InboxIds:
    """Random names; replaces the NATS library's `NUID`.

    A NUID is a random prefix, shared by all NUIDs of a client, and a counter with a fixed step.
    From the inbox of one request, an attacker could compute the inbox of the next one.
    """

    def next(self) -> bytearray:
        """Return an independent random name of 22 letters, digits, `-` and `_`."""
        return bytearray(secrets.token_urlsafe(RANDOM_BYTES), "ascii")
