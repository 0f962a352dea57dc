"""Importing the chain SDK changes nothing about the process that imports it."""

import subprocess
import sys

PROGRAM = """
import logging, signal, sys
sys.argv = ["pylon", "--help"]
logging.basicConfig(level=logging.INFO)
def state():
    root = logging.getLogger()
    return (
        list(root.handlers), root.level, list(sys.argv), logging.getLoggerClass(),
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook,
        logging.getLogger("pylon").level, logging.getLogger("pylon").handlers,
    )
before = state()
import pylon.chain.subtensor_reader
assert "bittensor" in sys.modules
after = state()
assert before == after, (before, after)
print("unchanged")
"""


def test_the_sdk_does_not_change_logging_or_arguments() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("unchanged\n", "")
