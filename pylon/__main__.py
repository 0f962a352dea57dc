"""The `pylon` command, also `python -m pylon`."""

import sys
from importlib.util import find_spec


def main() -> int:
    """Run the command line, where the service is installed; else say how to install it."""
    missing = [name for name in ("typer", "rich", "bittensor") if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"pylon: this is the client alone, without {', '.join(missing)}: the service needs "
            "`pip install 'pylon-client[service]'`\n"
        )
        return 1
    from pylon.cli.main import main as run  # noqa: PLC0415 -- what it imports may be missing

    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
