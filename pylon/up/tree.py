"""The process tree of `pylon up`: what runs in it, in which order it starts and stops."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from bridge.settings import BridgeSettings
from pylon.messaging.embedded import EmbeddedNats
from pylon.settings import WorkerSettings
from pylon.up import simulation
from pylon.up.banner import banner
from pylon.up.bridge_password import bridge_password
from pylon.up.child import Child
from pylon.up.environments import bridge_environment, devnet_environment, worker_environment
from pylon.up.options import LOOPBACK, UpError, UpOptions
from pylon.up.ports import require_free
from pylon.up.readiness import until_ready
from pylon.up.running import told_in
from pylon_client.service.redaction import REDACTOR, secrets_of

DRAIN_TIMEOUT_S = 2
STOP_WITHIN_S = 8.0
"""For the whole tree; what is left then is killed, so that whoever stops it need not."""
CHILD_STOPS_WITHIN_S = 3.0
"""For each child, so that one that hangs leaves time for the others."""
PAST_BLOCKS = 20
"""So many blocks a new devnet has behind it, so that there is a past to read from the start."""


def _own(options: UpOptions) -> dict[str, str]:
    """The settings that this tree gives its processes, whatever the environment says."""
    own = {
        "PYLON_NATS_URL": options.nats_url,
        # What is about other NATS servers than the embedded one.
        "PYLON_NATS_CA_FILE": "",
        "PYLON_NATS_CLIENT_CERT_FILE": "",
        "PYLON_NATS_CLIENT_KEY_FILE": "",
        "PYLON_NATS_STREAM_REPLICAS": "1",
        # For this run alone.
        "PYLON_NATS_WORKER_PASSWORD": secrets.token_urlsafe(24),
        "PYLON_NATS_BRIDGE_PASSWORD": bridge_password(),
        "PYLON_NATS_READER_PASSWORD": "",  # no reader runs
        "PYLON_BRIDGE_HOST": options.host,
        "PYLON_BRIDGE_PORT": str(options.port),
        "PYLON_BRIDGE_GRACEFUL_SHUTDOWN_SECONDS": str(DRAIN_TIMEOUT_S),
        "PYLON_DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
        "BITTENSOR_RUNTIME_CACHE_DIR": str((options.home / "runtime-cache").absolute()),
    }
    if options.devnet_url is not None:
        wallets = simulation.wallets_of(options.home)
        own |= simulation.settings(options.devnet_url, wallets, options.block_time_s)
    return own


def _environment(own: dict[str, str]) -> dict[str, str]:
    """The environment of the tree, of which each process gets its part."""
    files = {f"{name}_FILE" for name in own}
    return {name: text for name, text in os.environ.items() if name not in files} | own


def _settings(env: dict[str, str]) -> WorkerSettings:
    """The worker's settings, once the bridge's are known to be right too."""
    os.environ.clear()
    os.environ.update(env)  # so that this process reads the same settings as its children
    BridgeSettings()
    settings = WorkerSettings()
    _ = settings.identity_settings
    return settings


def _prepare(options: UpOptions) -> None:
    """Write what the processes find in the home; for whoever holds the lock of the state."""
    if options.devnet_port is None:
        return
    try:
        if options.fresh and options.chain.exists():
            shutil.rmtree(options.chain)
        simulation.write_wallets(options.home)
    except OSError as error:
        raise UpError(
            f"{options.home} cannot be used ({error.strerror}); choose another --home (PYLON_HOME)"
        ) from None


def _children(options: UpOptions, env: dict[str, str], settings: WorkerSettings) -> list[Child]:
    worker_env = worker_environment(env, settings)
    children = [
        Child("worker", [sys.executable, "-m", "pylon", "worker"], worker_env),
        Child(
            "bridge",
            [sys.executable, "-m", "bridge"],
            bridge_environment(env, settings, BridgeSettings),
        ),
    ]
    if options.devnet_port is not None:
        argv = [sys.executable, "-m", "pylon.devnet", "--host", LOOPBACK]
        argv += ["--port", str(options.devnet_port), "--block-time", str(options.block_time_s)]
        argv += ["--state", str(options.chain), "--past-blocks", str(PAST_BLOCKS)]
        if options.control_port is not None:
            argv += ["--control-port", str(options.control_port)]
        if options.devnet_runtime is not None:
            argv += ["--runtime", options.devnet_runtime]
        children.insert(0, Child("devnet", argv, devnet_environment(env)))
    return children


@contextlib.asynccontextmanager
async def _running(
    nats: EmbeddedNats, children: Sequence[Child], ready: asyncio.Event
) -> AsyncGenerator[asyncio.Future[list[None]]]:
    """Keep processes running within the block, and stop them in the reverse of their order.

    Yields a future that fails when one of them ended before the tree was ready.
    """
    watch = asyncio.gather(*(child.keep_running(ready) for child in children))
    try:
        yield watch
    finally:
        now_s = asyncio.get_running_loop().time
        end_s = now_s() + STOP_WITHIN_S
        for child in reversed(children):
            await child.stop(min(CHILD_STOPS_WITHIN_S, max(end_s - now_s(), 0.0)))
        await asyncio.gather(watch, return_exceptions=True)
        await nats.stop(max(end_s - now_s(), 0.0))


async def run(options: UpOptions) -> None:
    """Run the tree until SIGINT or SIGTERM, then stop every process of it.

    Raises:
        UpError: it cannot start; the text says what to do.
        SettingsError: a setting of one of the processes is wrong.
        ChildEndedError: a process of it ended before all was ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    own = _own(options)
    env = _environment(own)
    settings = _settings(env)
    REDACTOR.learn(secrets_of(settings))
    require_free(options)
    nats = EmbeddedNats(
        options.state, settings, host=LOOPBACK, port=options.nats_port, fresh=options.fresh
    )
    async with nats:
        _prepare(options)
        ready = asyncio.Event()
        children = _children(options, env, settings)
        async with AsyncExitStack() as stack:
            stack.enter_context(told_in(options.home, own))
            watch = await stack.enter_async_context(_running(nats, children, ready))
            starting = asyncio.create_task(until_ready(options, settings))
            stopping = asyncio.create_task(stop.wait())
            try:
                await _first_of(starting, stopping, watch)
                if starting.done():
                    ready.set()
                    sys.stdout.write(banner(options, settings))
                    sys.stdout.flush()
                    await _first_of(stopping, watch)
            finally:
                starting.cancel()
                stopping.cancel()


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    """Wait for one of several futures; raises what it raised."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
