"""`python -m bridge` serves the REST API."""

import argparse
import sys

from pylon.common.distribution import service_version


def main() -> int:
    """Run the REST API as configured by the settings, and return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m bridge",
        description="Serves Pylon's REST API, until SIGINT or SIGTERM.",
        epilog="Settings come from PYLON_... variables and the file .env: see docs/settings.md.",
    )
    parser.add_argument("--version", action="version", version=f"pylon {service_version()}")
    parser.parse_args()
    from bridge.main import run  # noqa: PLC0415 -- so that --help is quick

    return run()


sys.exit(main())
