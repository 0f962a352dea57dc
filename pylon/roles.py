"""What a worker is for."""

from enum import StrEnum


class WorkerRole(StrEnum):
    """Which of a worker's two tasks it takes on; a reader never opens a hotkey."""

    READER = "reader"
    SIGNER = "signer"
    ALL = "all"

    @property
    def signs(self) -> bool:
        """Whether it works on jobs."""
        return self is not WorkerRole.READER
