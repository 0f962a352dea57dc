"""Run by `nox -s client_alone` in an environment that holds only the client's wheel."""

import importlib.util
import subprocess
import sys

FORBIDDEN = ("bittensor", "bittensor_core", "fastapi", "starlette", "uvicorn", "typer", "rich")
IMPORT_LIMIT_S = 0.3

for name in FORBIDDEN:
    if importlib.util.find_spec(name) is not None:
        sys.exit(f"the client's base install pulls in {name}")

MEASURE = (
    "import time; t = time.perf_counter(); import pylon_client.v1; print(time.perf_counter() - t)"
)
times_s = [float(subprocess.check_output([sys.executable, "-I", "-c", MEASURE])) for _ in range(5)]
if min(times_s) > IMPORT_LIMIT_S:
    sys.exit(f"import pylon_client.v1 takes {min(times_s):.2f} s, more than {IMPORT_LIMIT_S} s")
print(f"the client stands alone; its import takes {min(times_s):.2f} s")
