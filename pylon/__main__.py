"""The `pylon` command, as `python -m pylon`."""

from pylon.cli.main import main

if __name__ == "__main__":
    main()
