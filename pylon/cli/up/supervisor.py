"""The supervisor of `pylon up`: starts, restarts and stops its processes in order."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bridge.settings import BridgeSettings
from pylon.cli.up import devnet_identities
from pylon.cli.up.banner import banner
from pylon.cli.up.bridge_password import bridge_password
from pylon.cli.up.child_process import ChildProcess
from pylon.cli.up.environments import (
    bridge_environment,
    devnet_environment,
    supervisor_environment,
    worker_environment,
)
from pylon.cli.up.home_folder import (
    RUNTIME_CACHE,
    is_new_chain,
    lock_home,
    prepare_home,
    require_home_access,
)
from pylon.cli.up.overridden_settings import overridden_variables, warn_of_overridden
from pylon.cli.up.ports import require_free_ports
from pylon.cli.up.readiness import wait_until_ready
from pylon.cli.up.running_home import is_running, write_runtime_env
from pylon.cli.up.socket_folder import socket_folder
from pylon.cli.up.up_options import LOOPBACK, UpError, UpOptions
from pylon.common.prometheus_settings import PrometheusSettings
from pylon.common.redaction import REDACTOR, collect_secrets
from pylon.common.variable_checks import check_variables
from pylon.nats_server.embedded_server import EmbeddedNats
from pylon.worker.binding.remedy import HOME_VARIABLE
from pylon.worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 2
STOP_TIMEOUT_S = 8.0
"""Timeout for stopping all processes, in seconds; remaining processes are killed."""
CHILD_STOP_TIMEOUT_S = 3.0
"""Timeout for stopping one child, in seconds, so that a hanging one leaves time for the others."""
PAST_BLOCKS = 20
"""Number of blocks that a new devnet starts with, so that past blocks can be read immediately."""


def _overrides(options: UpOptions, sockets: Path) -> dict[str, str]:
    """Return the settings of the processes that override the environment.

    Args:
        options: options of the command line.
        sockets: folder of Unix sockets.
    """
    overrides = {
        "PYLON_NATS_URL": options.nats_url,
        # Settings for other NATS servers than the embedded one.
        "PYLON_NATS_CA_FILE": "",
        "PYLON_NATS_CLIENT_CERT_FILE": "",
        "PYLON_NATS_CLIENT_KEY_FILE": "",
        "PYLON_NATS_STREAM_REPLICAS": "1",
        # Generated for this run.
        "PYLON_NATS_WORKER_PASSWORD": secrets.token_urlsafe(24),
        "PYLON_NATS_BRIDGE_PASSWORD": bridge_password(),
        "PYLON_NATS_READER_PASSWORD": "",  # no reader runs
        "PYLON_BRIDGE_HOST": options.host,
        "PYLON_BRIDGE_PORT": str(options.port),
        "PYLON_BRIDGE_GRACEFUL_SHUTDOWN_SECONDS": str(DRAIN_TIMEOUT_S),
        "PYLON_DRAIN_TIMEOUT_SECONDS": str(DRAIN_TIMEOUT_S),
        HOME_VARIABLE: str(options.home.absolute()),  # shown in messages that recommend a reset
        # The bridge reads the worker's metrics from this socket.
        "PYLON_WORKER_HEALTH_SOCKET": str(sockets / "worker.sock"),
        "BITTENSOR_RUNTIME_CACHE_DIR": str((options.home / RUNTIME_CACHE).absolute()),
    }
    if options.devnet_url is not None:
        wallets = devnet_identities.wallets_folder(options.home)
        overrides |= devnet_identities.devnet_settings(
            options.devnet_url, wallets, options.block_time_s
        )
    return overrides


def _load_settings(env: dict[str, str]) -> WorkerSettings:
    """Load the worker's settings, after validating those of the bridge."""
    os.environ.clear()
    os.environ.update(env)  # this process reads the same settings as its children
    BridgeSettings()
    PrometheusSettings()
    settings = WorkerSettings()
    _ = settings.identities_with_tokens
    check_variables(settings)
    return settings


def _children(
    options: UpOptions, env: dict[str, str], settings: WorkerSettings
) -> list[ChildProcess]:
    worker_env = worker_environment(env, settings)
    children = [
        ChildProcess("worker", [sys.executable, "-m", "pylon", "worker"], worker_env),
        ChildProcess(
            "bridge",
            [sys.executable, "-m", "bridge"],
            bridge_environment(env, settings, BridgeSettings),
        ),
    ]
    if options.devnet_port is not None:
        argv = [sys.executable, "-m", "pylon_devnet", "--host", LOOPBACK]
        argv += ["--port", str(options.devnet_port), "--block-time", str(options.block_time_s)]
        argv += ["--state", str(options.chain_folder), "--past-blocks", str(PAST_BLOCKS)]
        if options.control_port is not None:
            argv += ["--control-port", str(options.control_port)]
        for option, value in (
            ("--runtime", options.devnet_runtime),
            ("--tempo", options.devnet_tempo),
            ("--seed", options.devnet_seed),
        ):
            if value is not None:
                argv += [option, str(value)]
        children.insert(0, ChildProcess("devnet", argv, devnet_environment(env)))
    return children


@contextlib.asynccontextmanager
async def _run_children(
    nats: EmbeddedNats, children: Sequence[ChildProcess], ready: asyncio.Event
) -> AsyncGenerator[asyncio.Future[list[None]]]:
    """Run processes within the block, then stop them in reverse order.

    Yields a future that fails if one of them exits before `ready` is set.
    """
    watch = asyncio.gather(*(child.keep_running(ready) for child in children))
    try:
        yield watch
    finally:
        now_s = asyncio.get_running_loop().time
        end_s = now_s() + STOP_TIMEOUT_S
        for child in reversed(children):
            await child.stop(min(CHILD_STOP_TIMEOUT_S, max(end_s - now_s(), 0.0)))
        await asyncio.gather(watch, return_exceptions=True)
        await nats.stop(max(end_s - now_s(), 0.0))


async def run(options: UpOptions) -> None:
    """Run all processes until SIGINT or SIGTERM, then stop them.

    Raises:
        UpError: the processes cannot be started; the text contains a remedy.
        SettingsError: a setting of a process is invalid.
        ChildExitedError: a process exited before all were ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    require_home_access(options)
    if is_running(options.home):
        raise UpError(
            f"another `pylon up` runs from {options.home}: stop it, or choose another --home "
            "(PYLON_HOME)"
        )
    with socket_folder() as sockets:
        overrides = _overrides(options, sockets)
        overridden = overridden_variables(overrides)
        env = supervisor_environment(overrides)
        settings = _load_settings(env)
        REDACTOR.add_secrets(collect_secrets(settings))
        require_free_ports(options)
        if options.exposes_nats:
            _warn_of_exposed_nats(options, settings)
        with lock_home(options):
            command = "pylon up" if options.devnet_url is None else "pylon up --devnet"
            warn_of_overridden(overridden, command)
            await _run_processes(options, env, settings, stop)


def _warn_of_exposed_nats(options: UpOptions, settings: WorkerSettings) -> None:
    logger.warning(
        "NATS listens on %s for other machines, without TLS: use it only in a trusted network",
        options.nats_host,
    )
    if options.devnet_url is not None:
        logger.warning(
            "Every machine that can connect to NATS can act as any identity: tokens are public"
        )
    elif not settings.open_access_token.get_secret_value():
        logger.warning(
            "Every machine that can connect to NATS can read the chain without a password: set "
            "PYLON_OPEN_ACCESS_TOKEN unless that is intended"
        )


async def _run_processes(
    options: UpOptions, env: dict[str, str], settings: WorkerSettings, stop: asyncio.Event
) -> None:
    nats = EmbeddedNats(
        options.state_folder,
        settings,
        host=options.nats_host,
        port=options.nats_port,
        fresh=options.fresh or is_new_chain(options),
    )
    async with nats:
        prepare_home(options)
        processes_work = asyncio.Event()
        children = _children(options, env, settings)
        token = settings.open_access_token.get_secret_value()
        async with AsyncExitStack() as stack:
            stack.enter_context(write_runtime_env(options.home, env, token))
            watch = await stack.enter_async_context(_run_children(nats, children, processes_work))
            starting = asyncio.create_task(wait_until_ready(options, settings, processes_work))
            stopping = asyncio.create_task(stop.wait())
            try:
                await _wait_first(starting, stopping, watch)
                if starting.done():
                    sys.stdout.write(banner(options, settings))
                    sys.stdout.flush()
                    await _wait_first(stopping, watch)
            finally:
                starting.cancel()
                stopping.cancel()


async def _wait_first(*futures: asyncio.Future[Any]) -> None:
    """Wait for the first of several futures; raise its exception, if any."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
