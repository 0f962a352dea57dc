"""The bridge as an ASGI app that connects to NATS by itself, for development servers.

Only `python -m bridge` limits the resources of each connection, finishes requests before it stops
and counts connections. Use it wherever untrusted clients reach the bridge.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator

from fastapi import FastAPI
from pydantic_settings import SettingsError

from bridge.connection import BridgeConnection, bridge_connection_options
from bridge.http_metrics import BridgeMetrics
from bridge.main import create_app, create_follower, create_memory
from bridge.settings import BridgeSettings
from pylon.common.logs import set_up_logging
from pylon.common.redaction import REDACTOR, collect_secrets
from pylon.common.sentry import set_up_sentry
from pylon.common.task_supervisor import TaskSupervisor
from pylon_client.contract.failures import FailureError


def development_app() -> FastAPI:
    """Create the REST API from the settings; its lifespan holds the connection to NATS.

    Raises:
        SystemExit: settings are invalid; the text names each of them.
    """
    try:
        set_up_logging()
        settings = BridgeSettings()
        REDACTOR.add_secrets(collect_secrets(settings))
        set_up_sentry(settings, "bridge")
        nats = BridgeConnection(bridge_connection_options(settings))
        metrics = BridgeMetrics()
        metrics.watch_nats(nats)
        memory = create_memory(settings, nats)
        made = create_app(settings, nats, metrics, memory=memory)
    except SettingsError as error:
        sys.exit("\n".join(f"A setting is wrong: {mistake}" for mistake in str(error).splitlines()))
    supervisor = TaskSupervisor(lambda error: isinstance(error, FailureError))
    metrics.watch_parts(supervisor)
    follower = create_follower(settings, nats, memory)

    @contextlib.asynccontextmanager
    async def connected(app: FastAPI) -> AsyncGenerator[None]:
        keeping = asyncio.create_task(
            supervisor.supervise("connection to NATS", nats.keep_connected)
        )
        following = asyncio.create_task(supervisor.supervise("memory", follower.run))
        try:
            yield
        finally:
            app.state.close_streams()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError, FailureError):
                await keeping

    made.router.lifespan_context = connected
    return made


app = development_app()
