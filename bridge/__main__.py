"""`python -m bridge` serves the REST API."""

import sys

from bridge.main import run

sys.exit(run())
