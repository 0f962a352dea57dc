"""Errors that end a command of the command line with one line."""


class CommandError(Exception):
    """Why a command cannot do its work, in words for the person at the terminal."""
