from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pylon.nats_server.permissions import authorization_config
from pylon.rpc.request_server import Handler, RequestServer
from pylon_client.contract.subjects import BRIDGE_USER, WORKER_USER
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.served_operations import Serve, serving
from tests.support.product.deployment import (
    BRIDGE_PASSWORD,
    WORKER_PASSWORD,
    ConnectAs,
    deployment_settings,
    token_of,
)

PASSWORDS = {WORKER_USER: WORKER_PASSWORD, BRIDGE_USER: BRIDGE_PASSWORD}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[NatsServer]:
    """A server with the users of a deployment: alice on subnet 1, Bob on subnet 2, and open."""
    settings = deployment_settings(identities={"alice": 1, "Bob": 2})
    async with NatsServer(tmp_path, authorization_config(settings)) as running:
        yield running


@pytest.fixture
async def connect_as(server: NatsServer) -> AsyncGenerator[ConnectAs]:
    """Connect to the server as a user, None for one without credentials; closed afterwards."""
    async with AsyncExitStack() as closing:

        async def connect_user(user: str | None) -> NatsConnection:
            password = "" if user is None else PASSWORDS.get(user, token_of(user))
            options = ConnectionOptions(urls=(server.url,), user=user, password=password)
            connection = await connect(options)
            closing.push_async_callback(connection.close)
            return connection

        yield connect_user


@pytest.fixture
async def serve(connect_as: ConnectAs) -> AsyncGenerator[Serve]:
    """Serve every operation with one handler, two requests of a caller at a time.

    Of four places each of three callers has one, and one is shared.
    """
    services: list[RequestServer] = []

    async def start(handler: Handler) -> RequestServer:
        services.append(await serving(await connect_as("worker"), handler, max_requests=5))
        return services[-1]

    yield start
    for service in services:
        await service.drain(0)
