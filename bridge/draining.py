"""Draining: after the stop signal, clients reconnect to another bridge before this one ends."""

from typing import Final

CLOSE_HEADER: Final = (b"connection", b"close")
"""Header of responses while draining.

Without it, a client may send its next request on an idle connection while the server closes it, and
receive no response.
"""


class DrainState:
    """Drain state of one bridge.

    Attributes:
        has_begun: whether the server has received the stop signal.
    """

    def __init__(self) -> None:
        self.has_begun = False
