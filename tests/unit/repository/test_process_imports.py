"""Each process imports only the parts that it uses, so that it starts quickly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product.eventually import HANGS_AFTER_S

pytestmark = pytest.mark.integration  # starts processes

ROOT = Path(__file__).parents[3]
LIST_MODULES = "import sys; print(*sys.modules)"
START_DEVNET = """
import asyncio
from pylon_devnet import Devnet, DevnetOptions

async def start() -> None:
    async with Devnet(DevnetOptions(port=0, autostart=False)):
        pass

asyncio.run(start())
"""
HTTP_SERVER = {"uvicorn", "starlette", "fastapi"}
CHAIN_SDK = {"bittensor", "bittensor_core"}


def loaded_by(code: str) -> set[str]:
    """Return the names of the modules and of the packages that a program has imported."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LIST_MODULES}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "unused"),
    [
        pytest.param(
            "import pylon.cli.main; pylon.cli.main._register_devnet_command()",
            HTTP_SERVER | CHAIN_SDK | {"pylon_devnet.node", "websockets", "nats", "rich.markdown"},
            id="command line",
        ),
        pytest.param(
            "import pylon.cli.main, pylon.cli.up.supervisor",
            HTTP_SERVER | {"bittensor", "pylon_devnet.node", "websockets", "prometheus_client"},
            id="pylon up",
        ),
        pytest.param(
            "import bridge.main",
            CHAIN_SDK | {"pylon.chain", "pylon.worker", "httpx", "typer", "sentry_sdk"},
            id="bridge",
        ),
        pytest.param(
            "import pylon.worker.main",
            {"fastapi", "typer", "httpx", "sentry_sdk", "pylon_devnet", "bridge"},
            id="worker",
        ),
        pytest.param(
            START_DEVNET,
            HTTP_SERVER | {"bittensor", "pydantic", "pylon", "nats", "pylon_client"},
            id="devnet without control API",
        ),
    ],
)
def test_a_process_does_not_import(code: str, unused: set[str]) -> None:
    assert loaded_by(code) & unused == set()
