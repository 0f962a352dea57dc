"""The SDK's access to one chain node, as reading and writing both use it."""

from typing import Any

from bittensor import RpcSubstrate
from bittensor.settings import NETWORKS

from pylon.chain.place import is_node_url


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
    """The SDK's chain access, which also closes a connection whose opening was cut short.

    Routing, retries and deadlines are Pylon's own, so it is given one endpoint and no others.

    The SDK takes note of a connection only once it is open. One that is cancelled before, as at
    our deadline, would live on in the background, and dial again whenever it breaks.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, fallback_endpoints=[], archive_endpoints=[])
        self._made: list[Any] = []

    def _interface(self, endpoint: str, fallbacks: list[str]) -> Any:
        made = super()._interface(endpoint, fallbacks)
        self._made.append(made)
        return made

    async def close(self) -> None:
        """Close every connection that was made, open or not."""
        await super().close()
        for made in self._made:
            await made.close()
