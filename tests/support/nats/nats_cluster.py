"""A cluster of three real nats-servers, with three replicas of each stream."""

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from nats.js.client import JetStreamContext

from pylon_client.nats.nats_connection import NatsConnection
from tests.support.nats.nats_server import NatsServer
from tests.support.product.free_ports import free_ports

SERVERS = 3


class NatsCluster:
    """Run three servers: `async with NatsCluster(tmp_path, authorization) as cluster:`.

    Args:
        folder: parent of the folders of the servers.
        authorization: as for `NatsServer`.
        more: as for `NatsServer`.
    """

    def __init__(self, folder: Path, authorization: str, *, more: str = "") -> None:
        routes = free_ports(SERVERS)
        peers = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        self.servers = [
            NatsServer(
                folder,
                authorization,
                name=f"nats-{number}",
                more=f"""
                cluster {{
                    name: "test"
                    listen: "127.0.0.1:{port}"
                    routes: [{peers}]
                }}
                {more}
                """,
            )
            for number, port in enumerate(routes)
        ]
        self._stack = AsyncExitStack()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(server.url for server in self.servers)

    async def __aenter__(self) -> Self:
        for server in self.servers:
            await self._stack.enter_async_context(server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def leader(self, worker: NatsConnection, stream: str) -> NatsServer:
        """Return the present leader of a stream."""
        info = await JetStreamContext(worker.nats).stream_info(stream)
        assert info.cluster is not None
        (leader,) = [server for server in self.servers if server.name == info.cluster.leader]
        return leader
