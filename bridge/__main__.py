"""`python -m bridge` serves the REST API."""

import argparse
import sys
from importlib.metadata import version
from importlib.util import find_spec


def main() -> int:
    """Run the REST API as configured by the settings, and return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m bridge",
        description="Serves Pylon's REST API, until SIGINT or SIGTERM.",
        epilog="Settings come from PYLON_... variables and the file .env: see docs/settings.md.",
    )
    parser.add_argument("--version", action="version", version=f"pylon {version('pylon-client')}")
    parser.parse_args()

    if find_spec("fastapi") is None:
        sys.stderr.write(
            "bridge: fastapi is not installed; the service needs "
            "`pip install 'pylon-client[service]'`\n"
        )
        return 1
    from bridge.main import run  # noqa: PLC0415 -- keeps --help fast

    return run()


sys.exit(main())
