"""The bridge as its users run it: a separate process, on a port that the OS chooses."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.product.deployment import BRIDGE_PASSWORD, token_of
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.http_client import http_client
from tests.support.product.preloaded_process import PreloadedProcess, Program
from tests.support.product.process_output import append_output

POLL_S = 0.02


def bridge_environment(
    nats_url: str, identities: Mapping[str, int] | None = None, **more: str
) -> dict[str, str]:
    """Return a bridge's variables for the deployment of `deployment_settings`.

    Args:
        nats_url: of NATS.
        identities: netuids by name.
        more: other variables, without their prefix and in lower case.
    """
    environment = {
        "NATS_URL": nats_url,
        "NATS_BRIDGE_PASSWORD": BRIDGE_PASSWORD,
        "IDENTITIES": json.dumps(list(identities or {})),
    }
    for name, netuid in (identities or {}).items():
        environment[f"ID_{name.upper()}_NETUID"] = str(netuid)
        environment[f"ID_{name.upper()}_TOKEN"] = token_of(name)
    environment.update({name.upper(): value for name, value in more.items()})
    return {f"PYLON_{name}": value for name, value in environment.items()}


class BridgeProcess:
    """`async with BridgeProcess(tmp_path, {…}) as bridge:` runs `python -m bridge`.

    Args:
        folder: its working directory and home.
        environment: `PYLON_…` variables; those of the test's own environment are not passed on.
        max_descriptors: its limit of open files; the test's own when None.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, max_descriptors: int | None = None
    ) -> None:
        self.folder = folder
        self.environment = environment
        self.max_descriptors = max_descriptors
        self.url = ""
        self._log: list[str] = []
        self._process: PreloadedProcess | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def log(self) -> str:
        return "".join(self._log)

    @property
    def process(self) -> PreloadedProcess:
        assert self._process is not None, "it was not started"
        return self._process

    async def launch(self) -> None:
        """Start the process without waiting until it is ready."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYLON_")}
        env = {
            **inherited,
            "HOME": str(self.folder),
            "PYLON_BRIDGE_PORT": "0",
            **self.environment,
        }
        self._process = PreloadedProcess(
            Program(("bridge",), cwd=self.folder, env=env, max_descriptors=self.max_descriptors)
        )
        self._reading = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        await self.launch()
        served = await self.logged(r"Serving REST on (http://\S+)")
        self.url = served[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            await self.stop(signal.SIGKILL)
        if error is not None and not isinstance(error, asyncio.CancelledError):
            sys.stderr.write(self.log)

    async def logged(self, pattern: str) -> re.Match[str]:
        """Wait until the log has a line with this pattern."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while (found := re.search(pattern, self.log)) is None:
                assert self.process.returncode is None, self.log
                await asyncio.sleep(POLL_S)
        return found

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it with a signal, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end, and return its exit code."""
        async with asyncio.timeout(HANGS_AFTER_S):
            code = await self.process.wait()
            if self._reading is not None:
                await self._reading
        return code

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET on a new connection."""
        async with http_client(self.url) as client:
            return await client.get(path, **options)

    async def until(self, path: str, status: int) -> httpx.Response:
        """Send requests until a response has this status."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while (response := await self.get(path)).status_code != status:
                await asyncio.sleep(POLL_S)
        return response

    async def _read(self) -> None:
        async for line in await self.process.output():
            self._log.append(line.decode())
            append_output(self.folder, line)
