"""The process tree of `pylon up`: what runs in it, in which order it starts and stops."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx

from pylon.messaging.embedded import EmbeddedNats
from pylon.up import simulation
from pylon.up.banner import banner
from pylon.up.child import Child
from pylon.up.options import LOOPBACK, UpOptions
from pylon_client.contract.operations import LATEST_BLOCK, Scope
from pylon_client.deployment import DeploymentSettings

READY_TIMEOUT_S = 120.0
READY_POLL_S = 0.1
DRAIN_TIMEOUT_S = 2
PAST_BLOCKS = 20
"""So many blocks a new devnet has behind it, so that there is a past to read from the start."""


class UpError(Exception):
    """Why the tree cannot run, in words for the person at the terminal."""


def _require_free(port: int, option: str, host: str = LOOPBACK) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UpError(
                f"port {port} of {host} cannot be used ({error.strerror}); "
                f"choose another with {option}"
            ) from None


def _environment(options: UpOptions) -> dict[str, str]:
    """The settings that all processes of the tree share."""
    own = {
        "PYLON_NATS_URL": f"nats://{LOOPBACK}:{options.nats_port}",
        # For this run alone: nothing but these processes needs to know them.
        "PYLON_NATS_WORKER_PASSWORD": secrets.token_urlsafe(24),
        "PYLON_NATS_BRIDGE_PASSWORD": secrets.token_urlsafe(24),
        "PYLON_BRIDGE_HOST": options.host,
        "PYLON_BRIDGE_PORT": str(options.port),
        "PYLON_BRIDGE_GRACEFUL_SHUTDOWN_SECONDS": str(DRAIN_TIMEOUT_S),
        "PYLON_DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
        "BITTENSOR_RUNTIME_CACHE_DIR": str((options.home / "runtime-cache").absolute()),
    }
    if options.devnet_url is not None:
        wallets = simulation.write_wallets(options.home)
        own |= simulation.settings(options.devnet_url, wallets, options.block_time_s)
    files = {f"{name}_FILE" for name in own}
    return {name: text for name, text in os.environ.items() if name not in files} | own


def _devnet(options: UpOptions, env: dict[str, str]) -> Child:
    argv = [sys.executable, "-m", "pylon.devnet", "--host", LOOPBACK]
    argv += ["--port", str(options.devnet_port), "--block-time", str(options.block_time_s)]
    argv += ["--state", str(options.state / "chain"), "--past-blocks", str(PAST_BLOCKS)]
    if options.control_port is not None:
        argv += ["--control-port", str(options.control_port)]
    return Child("devnet", argv, env)


async def _until_ready(options: UpOptions, settings: DeploymentSettings) -> None:
    """Wait until the REST API answers with a block of the chain."""
    url = f"http://{options.reachable_host}:{options.port}{LATEST_BLOCK.rest_path(Scope.OPEN)}"
    token = settings.open_access_token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(headers=headers, timeout=5, trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(READY_POLL_S)


@contextlib.asynccontextmanager
async def _running(
    children: Sequence[Child], ready: asyncio.Event
) -> AsyncGenerator[asyncio.Future[list[None]]]:
    """Keep processes running within the block, and stop them in the reverse of their order.

    Yields a future that fails when one of them ended before the tree was ready.
    """
    watch = asyncio.gather(*(child.keep_running(ready) for child in children))
    try:
        yield watch
    finally:
        for child in reversed(children):
            await child.stop()
        await asyncio.gather(watch, return_exceptions=True)


async def run(options: UpOptions) -> None:
    """Run the tree until SIGINT or SIGTERM, then stop every process of it.

    Raises:
        UpError: it cannot start; the text says what to do.
        ChildEndedError: a process of it ended before all was ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    options.home.mkdir(parents=True, exist_ok=True)
    _require_free(options.port, "--port (PORT)", options.host)
    _require_free(options.nats_port, "--nats-port (NATS_PORT)")
    if options.devnet_port is not None:
        _require_free(options.devnet_port, "--devnet-port (DEVNET_PORT)")
        if options.fresh:
            shutil.rmtree(options.state, ignore_errors=True)

    env = _environment(options)
    os.environ.clear()
    os.environ.update(env)  # so that this process reads the same settings as its children
    settings = DeploymentSettings()
    children = [
        Child("worker", [sys.executable, "-m", "pylon", "worker"], env),
        Child("bridge", [sys.executable, "-m", "bridge"], env),
    ]
    if options.devnet_port is not None:
        children.insert(0, _devnet(options, env))

    ready = asyncio.Event()
    async with (
        EmbeddedNats(options.state, settings, host=LOOPBACK, port=options.nats_port),
        _running(children, ready) as watch,
    ):
        starting = asyncio.create_task(_until_ready(options, settings))
        stopping = asyncio.create_task(stop.wait())
        try:
            await _first_of(starting, stopping, watch, timeout_s=READY_TIMEOUT_S)
            if starting.done():
                ready.set()
                sys.stdout.write(banner(options, settings))
                sys.stdout.flush()
                await _first_of(stopping, watch)
        finally:
            starting.cancel()
            stopping.cancel()


async def _first_of(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    """Wait for one of several futures; raises what it raised."""
    done, _ = await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if not done:
        raise UpError(f"not ready after {timeout_s:.0f} s; the log above says why")
    for future in done:
        future.result()
