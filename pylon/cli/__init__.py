"""The `pylon` command and its sub-commands."""
