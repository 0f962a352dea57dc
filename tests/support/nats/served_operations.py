"""A request server with one handler for every operation."""

from collections.abc import Awaitable, Callable, Mapping

import pytest

from pylon.rpc.request_server import Handler, RequestServer
from pylon_client.contract.failures import FailureError
from pylon_client.contract.operations import OPERATIONS_BY_NAME
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.nats.nats_connection import NatsConnection

IDENTITIES = {IdentityName("alice"): NetUid(1), IdentityName("Bob"): NetUid(2)}
LATEST = "pylon.v1.open.1.neurons.latest"


Serve = Callable[[Handler], Awaitable[RequestServer]]


async def serving(
    connection: NatsConnection, handler: Handler, max_requests: int = 1000
) -> RequestServer:
    handlers = dict.fromkeys(OPERATIONS_BY_NAME, handler)
    service = RequestServer(connection, handlers, identities=IDENTITIES, max_requests=max_requests)
    await service.start()
    return service


async def failure(
    connection: NatsConnection,
    subject: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> FailureError:
    with pytest.raises(FailureError) as caught:
        await connection.request(subject, body, headers, timeout_s)
    return caught.value
