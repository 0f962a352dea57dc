"""The synchronous client is generated from the asynchronous one."""

import subprocess
import sys
from pathlib import Path


def test_the_generated_modules_are_up_to_date() -> None:
    script = Path(__file__).parents[3] / "scripts" / "blocking_client.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
