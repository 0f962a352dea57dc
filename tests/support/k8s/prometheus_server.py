"""A real Prometheus server for one test: its own folder and a port of the OS's choosing."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.k8s.prometheus import prometheus_binary
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.process_output import append_output


@dataclass
class PrometheusServer:
    """A running server.

    Attributes:
        http: a client of its API.
    """

    http: httpx.AsyncClient

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current samples of an expression."""
        response = await self.http.get("/api/v1/query", params={"query": expression})
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()["data"]["result"]
        return found

    async def has(self, expression: str) -> None:
        """Wait until an expression has samples."""

        async def is_there() -> bool:
            return bool(await self.query(expression))

        await comes_true(is_there)

    async def alerts(self) -> dict[str, str]:
        """Return the state of each alert that is pending or firing, by its name."""
        response = await self.http.get("/api/v1/alerts")
        response.raise_for_status()
        found = response.json()["data"]["alerts"]
        return {alert["labels"]["alertname"]: alert["state"] for alert in found}

    async def evaluations(self) -> int:
        """Return how often each group of rules has been evaluated, of the group that has least."""
        response = await self.http.get("/metrics")
        counts = re.findall(
            r"^prometheus_rule_group_iterations_total\{.*\} (\S+)$", response.text, re.MULTILINE
        )
        return min(map(int, map(float, counts)), default=0)


@asynccontextmanager
async def prometheus_server(folder: Path, config: Path) -> AsyncGenerator[PrometheusServer]:
    """Run Prometheus with a configuration within the block.

    Args:
        folder: for its data; made here.
        config: the file.
    """
    process = await asyncio.create_subprocess_exec(
        prometheus_binary("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}",
        "--web.listen-address=127.0.0.1:0",
        "--log.level=info",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    log: list[str] = []

    async def read() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            log.append(line.decode())
            append_output(config.parent, line)

    reading = asyncio.create_task(read())

    async def listens() -> bool:
        assert not reading.done(), "".join(log)
        return "Server is ready to receive web requests" in "".join(log)

    try:
        await comes_true(listens)
        found = re.search(r"Listening on.*address=(\S+)", "".join(log))
        assert found is not None
        async with httpx.AsyncClient(
            base_url=f"http://{found[1]}", trust_env=False, timeout=HANGS_AFTER_S
        ) as http:
            yield PrometheusServer(http)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(HANGS_AFTER_S):
            await process.wait()
            await reading
