"""Errors that end a command with a one-line message."""


class CommandError(Exception):
    """A command failed; the message is shown to the user."""
