"""Names of inboxes that nobody can guess."""

import secrets
from typing import Final

RANDOM_BYTES: Final = 16
"""Random bytes of each name: 128 bits, which base64url spells in the 22 characters of a NUID."""


class InboxIds:
    """Random names, in the place of the NATS library's `NUID`.

    A NUID is a random prefix, shared by all NUIDs of a client, and a counter with a fixed step. The
    inbox of one request would tell the inbox of the next one.
    """

    def next(self) -> bytearray:
        """Return a name of 22 letters, digits, `-` and `_`, each independent of all others."""
        return bytearray(secrets.token_urlsafe(RANDOM_BYTES), "ascii")
