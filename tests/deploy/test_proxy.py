"""The reverse proxy of `compose.tls.yaml`: its limits, and a real Caddy with its Caddyfile."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.free_ports import free_ports

ROOT = Path(__file__).parents[2]
TLS: dict[str, Any] = yaml.safe_load((ROOT / "compose.tls.yaml").read_text())
CADDYFILE = (ROOT / "deploy" / "compose" / "Caddyfile").read_text()
NOWHERE = "nats://127.0.0.1:1"


def test_the_proxy_reaches_only_the_bridge_and_runs_without_privileges() -> None:
    proxy, bridge = TLS["services"]["proxy"], TLS["services"]["bridge"]
    assert proxy["networks"] == ["proxy", "internet"]
    assert bridge["networks"] == ["pylon", "proxy"]
    assert TLS["networks"]["proxy"]["internal"] is True
    (config,) = TLS["networks"]["proxy"]["ipam"]["config"]
    trusted = bridge["environment"]["PYLON_BRIDGE_TRUSTED_PROXIES"]
    assert trusted == f'["{config["subnet"]}"]'
    assert (proxy["cap_drop"], proxy["cap_add"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert proxy["read_only"] is True
    assert "env_file" not in proxy
    assert set(proxy["environment"]) == {"PYLON_DOMAIN"}
    (mounted, *_) = (volume.split(":") for volume in proxy["volumes"])
    assert (ROOT / mounted[0]).read_text() == CADDYFILE


@contextlib.asynccontextmanager
async def caddy(folder: Path, upstream: int) -> AsyncGenerator[str]:
    """Start Caddy with the project's Caddyfile on free ports; yield its URL."""
    http, https = free_ports(2)
    # Caddy's own authority, which is not installed in the system.
    of_test = f"http_port {http}\nhttps_port {https}\nlocal_certs\nskip_install_trust\n"
    path = folder / "Caddyfile"
    text = CADDYFILE.replace("admin off\n", f"admin off\n{of_test}")
    # On a slow machine, a bridge may take longer to start.
    path.write_text(text.replace("lb_try_duration 30s", f"lb_try_duration {HANGS_AFTER_S:g}s"))
    process = await asyncio.create_subprocess_exec(
        *("caddy", "run", "--config", str(path), "--adapter", "caddyfile"),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYLON_DOMAIN": "localhost",
            "BRIDGE_ADDRESS": f"127.0.0.1:{upstream}",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"https://localhost:{https}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def test_callers_wait_for_a_bridge_that_is_being_replaced(tmp_path: Path) -> None:
    if shutil.which("caddy") is None:
        pytest.skip("caddy is not installed: only the composition was checked")
    (port,) = free_ports(1)
    environment = bridge_environment(NOWHERE, bridge_port=str(port))
    async with (
        caddy(tmp_path, port) as url,
        httpx.AsyncClient(base_url=url, verify=False, trust_env=False) as client,  # noqa: S501 -- its own authority
    ):

        async def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get("/health")).is_success
            return False

        async with BridgeProcess(tmp_path, environment) as bridge:
            await comes_true(answers)
            assert await bridge.stop() == 0
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(client.get("/health", timeout=HANGS_AFTER_S))
            async with BridgeProcess(tmp_path, environment) as bridge:
                assert (await asking).status_code == 200
