"""Run by `nox -s client_alone` in an environment of the client's wheel, then of both wheels."""

import importlib
import importlib.util
import sys

OF_THE_SERVICE = ("bridge", "pylon", "pylon_devnet")
REQUIRED_BY_THE_SERVICE = (
    *("bittensor", "bittensor_core", "fastapi", "starlette", "uvicorn", "typer", "rich"),
)


def check_client() -> None:
    """Exit with an error unless the client works, without anything of the service."""
    for name in (*OF_THE_SERVICE, *REQUIRED_BY_THE_SERVICE):
        if importlib.util.find_spec(name) is not None:
            sys.exit(f"the client's base install pulls in {name}")
    importlib.import_module("pylon_client.v1")
    try:
        importlib.import_module("pylon_client.service.main")
    except ImportError as error:
        if "pip install 'pylon-client[service]'" not in str(error):
            sys.exit(f"the missing service does not name its extra: {error}")
    else:
        sys.exit("the service runs without what it needs")
    print("the client works without the service")


def check_service() -> None:
    """Exit with an error unless the service is installed beside the client."""
    for name in (*OF_THE_SERVICE, "pylon.cli.main", "bridge.main"):
        importlib.import_module(name)
    importlib.import_module("pylon_client.service.main")
    print("the service works with the client")


if __name__ == "__main__":
    {"client": check_client, "service": check_service}[sys.argv[1]]()
