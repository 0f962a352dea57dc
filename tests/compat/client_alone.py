"""Run by `nox -s client_alone` in an environment that holds only the client's wheel."""

import importlib
import importlib.util
import subprocess
import sys

FORBIDDEN = ("bittensor", "bittensor_core", "fastapi", "starlette", "uvicorn", "typer", "rich")

for name in FORBIDDEN:
    if importlib.util.find_spec(name) is not None:
        sys.exit(f"the client's base install pulls in {name}")

importlib.import_module("pylon_client.v1")
for command in ("pylon", "bridge"):
    ended = subprocess.run(
        [sys.executable, "-m", command], capture_output=True, text=True, check=False
    )
    if ended.returncode != 1 or "pylon-client[service]" not in ended.stderr:
        sys.exit(f"python -m {command} does not say what it lacks: {ended.stderr}")
try:
    importlib.import_module("pylon_client.service.main")
except ImportError as error:
    if "pylon-client[service]" not in str(error):
        sys.exit(f"the missing service does not name its extra: {error}")
else:
    sys.exit("the service runs without what it needs")
print("the client works without the service")
