"""`python -m pylon` is the `pylon` command."""

from pylon.cli import main

main()
