"""One way to log for every command of the service."""

import logging
import os
import sys

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# Chatty at INFO about matters that our own modules report in their own words.
QUIET_LOGGERS = ("bittensor", "httpx", "nats", "websockets")


def set_up_logging() -> None:
    """Log to standard error, at the level that `PYLON_LOG_LEVEL` names (INFO by default)."""
    level = os.environ.get("PYLON_LOG_LEVEL", "INFO").upper()
    logging.basicConfig(stream=sys.stderr, format=FORMAT, level=level, force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
