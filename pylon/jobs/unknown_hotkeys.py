"""The policy for weights of unregistered hotkeys."""

from enum import StrEnum


class UnknownHotkeyPolicy(StrEnum):
    """How to handle weights of hotkeys that are not registered at submission."""

    DROP = "drop"
    FAIL = "fail"
