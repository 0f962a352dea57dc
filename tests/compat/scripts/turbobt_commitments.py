"""Read the revealed commitments of a hotkey with turbobt; run in turbobt's own environment.

Arguments: the node's address, the netuid and the hotkey. Prints a JSON list of texts.
"""

import asyncio
import json
import sys

import turbobt


async def read(url: str, netuid: str, hotkey: str) -> list[str]:
    async with turbobt.Bittensor(url) as client:
        revealed = await client.subnet(int(netuid)).commitments.get_revealed(hotkey)
    return [one["data"] for one in revealed or ()]


json.dump(asyncio.run(read(*sys.argv[1:])), sys.stdout)
