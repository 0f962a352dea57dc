"""A validator's session with turbobt; run in turbobt's own environment.

Arguments: the node's address and the folder of the wallets. Prints one JSON object.
"""

import asyncio
import json
import sys
from typing import Any

import turbobt
from bittensor.wallet import Wallet


async def use(url: str, wallets: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with turbobt.Bittensor(url, wallet=Wallet("sn1", "default", wallets)) as client:
        subnet = client.subnet(1)
        seen["hotkeys"] = [one.hotkey for one in await subnet.list_neurons()]
        seen["state_hotkeys"] = len((await subnet.get_state())["hotkeys"])
        seen["tempo"] = (await subnet.get_hyperparameters())["tempo"]
        await subnet.weights.set({70: 0.5, 80: 0.5})
        seen["weights"] = (await subnet.weights.fetch())[0]
        await subnet.commitments.set(b"hello \xff")
        commitment = await subnet.commitments.get(seen["hotkeys"][0])
        seen["commitment"] = bytes(commitment["data"]).hex()
    async with turbobt.Bittensor(url, wallet=Wallet("sn12", "default", wallets)) as client:
        weights = client.subnet(12).weights
        seen["reveal_round"] = await weights.commit({20: 0.5, 30: 0.5})
        (pending,) = (await weights.fetch_pending()).values()
        seen["pending"] = {hotkey: commit.reveal_round for hotkey, commit in pending.items()}
    return seen


json.dump(asyncio.run(use(*sys.argv[1:])), sys.stdout)
