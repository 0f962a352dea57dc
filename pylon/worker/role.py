"""What a worker is for."""

from enum import StrEnum


class WorkerRole(StrEnum):
    """Which of a worker's two tasks it takes on; a reader never opens a hotkey."""

    READER = "reader"
    SIGNER = "signer"
    ALL = "all"

    @property
    def signs(self) -> bool:
        """Whether it accepts writes and works on jobs."""
        return self is not WorkerRole.READER

    @property
    def reads(self) -> bool:
        """Whether it answers reads of the chain."""
        return self is not WorkerRole.SIGNER
