"""The control API of a devnet in another process, and chains that make blocks only on request."""

from collections.abc import Sequence
from typing import Any

from tests.support.product.eventually import eventually
from tests.support.product.http_client import http_client

ON_DEMAND_S = 86_400.0
"""Block time in seconds of a chain that makes blocks only by `advance`: longer than any test."""
ON_DEMAND_SETTINGS = {"PYLON_HEAD_SILENCE_SECONDS": "86400"}
"""Settings of a worker on such a chain, where a missing new head is not an error."""


class DevnetControl:
    """A devnet's control API.

    Attributes:
        control_url: its address; empty until the devnet is ready.
    """

    def __init__(self, control_url: str = "") -> None:
        self.control_url = control_url

    async def control(self, verb: str, path: str, **parameters: Any) -> Any:
        """Return the API's response to a request, decoded from JSON."""
        async with http_client() as client:
            response = await client.request(verb, self.control_url + path, json=parameters)
            response.raise_for_status()
            return response.json() if response.content else None

    async def best_number(self) -> int:
        """Return the number of the newest block."""
        return int((await self.control("GET", "/status"))["best_number"])

    async def advance(self, blocks: int = 1) -> int:
        """Make blocks now; return the number of the newest."""
        await self.control("POST", "/advance", blocks=blocks)
        return await self.best_number()

    async def keep_pace(self, followers: Sequence[list[int]], count: int) -> None:
        """Make a block whenever all followers have the newest, until each has `count` numbers.

        Args:
            followers: the numbers of the blocks that each has received so far.
            count: the number of blocks that each must receive.
        """
        while waiting := [numbers for numbers in followers if len(numbers) < count]:
            newest = await self.best_number()
            await eventually(
                lambda waiting=waiting, newest=newest: all(
                    len(numbers) >= count or numbers[-1:] >= [newest] for numbers in waiting
                )
            )
            await self.advance()
