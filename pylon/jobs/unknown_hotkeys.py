"""What an operator chooses about jobs."""

from enum import StrEnum


class UnknownHotkeyPolicy(StrEnum):
    """What to do about weights for hotkeys that are not registered when they are sent."""

    DROP = "drop"
    FAIL = "fail"
