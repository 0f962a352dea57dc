"""The role of a worker."""

from enum import StrEnum


class WorkerRole(StrEnum):
    """The tasks of a worker; a reader never opens a hotkey."""

    READER = "reader"
    SIGNER = "signer"
    ALL = "all"

    @property
    def signs(self) -> bool:
        """Return whether the worker accepts writes and executes jobs."""
        return self is not WorkerRole.READER

    @property
    def reads(self) -> bool:
        """Return whether the worker serves reads of the chain."""
        return self is not WorkerRole.SIGNER
