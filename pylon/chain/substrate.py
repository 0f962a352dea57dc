"""The SDK's access to one chain node, as reading and writing both use it."""

import asyncio
import logging
from typing import Any

from bittensor import RpcSubstrate
from bittensor._transport import SubstrateConnection
from bittensor._transport.rpc import (
    _default_connect,  # pyright: ignore[reportPrivateUsage] -- a test holds it
)
from bittensor.settings import NETWORKS, SS58_FORMAT

from pylon.chain.faults import describe
from pylon.chain.place import is_node_url

logger = logging.getLogger(__name__)


def node_url(network: str) -> str:
    """Return the URL of a network's node.

    Args:
        network: a network's name that the SDK knows, or a `ws://` or `wss://` URL.

    Raises:
        ValueError: it is neither; the text does not repeat it, since it may hold a key.
    """
    if is_node_url(network):
        return network
    try:
        return NETWORKS[network]
    except KeyError:
        known = ", ".join(sorted(NETWORKS))
        raise ValueError(
            f"unknown network: choose one of {known}, or give a ws:// or wss:// URL"
        ) from None


class Substrate(RpcSubstrate):
    """The SDK's chain access, without what it leaves behind when a connection fails.

    Routing, retries and deadlines are Pylon's own, so it is given one endpoint and no others.

    The SDK takes note of a connection only once it is open. One that is cancelled before, as at
    our deadline, would live on in the background, and dial again whenever it breaks.

    A connection is kept by a task of the SDK, which dials again when it breaks, and raises when
    that fails. The SDK forgets such a task with the next request, and with it its exception, which
    asyncio then logs. Here the exception is retrieved: requests fail with it all the same.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, fallback_endpoints=[], archive_endpoints=[])
        self._made: list[Any] = []
        self._is_closed = False
        self._keeper: asyncio.Task[Any] | None = None

    def _interface(self, endpoint: str, fallbacks: list[str]) -> Any:
        made = SubstrateConnection(
            endpoint,
            ss58_format=SS58_FORMAT,
            fallback_urls=fallbacks,
            retry_forever=self.retry_forever,
            connect_factory=self._dial,
        )
        self._made.append(made)
        return made

    async def _dial(self, endpoint: str) -> Any:
        """Open a WebSocket, in the SDK's task that keeps the connection."""
        if self._is_closed:
            # The SDK opens a closed session again to end a subscription.
            raise ConnectionError("closed")
        task = asyncio.current_task()
        if task is not None and task is not self._keeper:
            self._keeper = task
            task.add_done_callback(_retrieve)
        return await _default_connect(endpoint)

    async def close(self) -> None:
        """Close every connection that was made, open or not."""
        self._is_closed = True
        await super().close()
        for made in self._made:
            await made.close()


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("A connection to the chain has ended: %s", describe(error))
