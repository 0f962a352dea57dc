"""NATS with one replica of every stream, or with three, and connections to it."""

import contextlib
from contextlib import AsyncExitStack

from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext

from pylon.jetstream.provision import provision_streams
from pylon_client.contract.subjects import WORKER_USER
from pylon_client.contract.topology import STREAMS, StreamPlan
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from tests.support.nats.nats_cluster import NatsCluster
from tests.support.nats.nats_server import NatsServer
from tests.support.product.deployment import WORKER_PASSWORD, token_of
from tests.support.product.eventually import comes_true


class Nats:
    """One or three running servers, and connections of the user `worker`.

    Args:
        servers: one server, or a cluster of three.
    """

    def __init__(self, servers: NatsServer | NatsCluster) -> None:
        self.servers = servers
        self.replicas = 1 if isinstance(servers, NatsServer) else len(servers.servers)
        self._closing = AsyncExitStack()

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.servers.url,) if isinstance(self.servers, NatsServer) else self.servers.urls

    @property
    def url(self) -> str:
        """Return the URLs of the servers as one setting."""
        return ",".join(self.urls)

    async def connect(self, first: int = 0, user: str | None = WORKER_USER) -> NatsConnection:
        """Connect to one of the servers, with the others as fallback; closed after the test.

        Args:
            first: index of the preferred server.
            user: the worker, an identity, or None for open access.
        """
        at = first % len(self.urls)
        urls = self.urls[at:] + self.urls[:at]
        passwords = {WORKER_USER: WORKER_PASSWORD, None: ""}
        password = passwords[user] if user in passwords else token_of(str(user))
        options = ConnectionOptions(urls=urls, user=user, password=password)
        connection = await connect(options)
        self._closing.push_async_callback(connection.close)
        return connection

    async def provision(self, *plans: StreamPlan) -> NatsConnection:
        """Make streams, with a replica on each server, and return a connection."""
        connection = await self.connect()
        await provision_streams(connection, plans or STREAMS, replicas=self.replicas)
        return connection

    async def reset(self) -> None:
        """Delete every stream, and close every connection."""
        streams = JetStreamContext((await self.connect()).nats, timeout=5)

        async def is_empty() -> bool:
            with contextlib.suppress(NatsError):  # no leader yet, after a kill
                for stream in await streams.streams_info():
                    assert stream.config.name is not None
                    await streams.delete_stream(stream.config.name)
                return True
            return False

        await comes_true(is_empty)
        await self._closing.aclose()
