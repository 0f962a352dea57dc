"""Read and write with the client of a release at several addresses.

Argument: a JSON object with the addresses, the identity and its token. Prints a JSON object: the
file of the imported client, and the results by address.
"""

import asyncio
import json
import sys
from typing import Any

import pylon_client
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, NetUid, Weight


async def use_client(address: str, identity: str, token: str) -> dict[str, Any]:
    config = AsyncConfig(address=address, identity_name=identity, identity_token=token)
    async with AsyncPylonClient(config) as client:
        neurons = (await client.open_access.get_latest_neurons(netuid=NetUid(1))).neurons
        weights = {hotkey: Weight(1.0) for hotkey in list(neurons)[:3]}
        # The same key is the same job, wherever it is used.
        scheduled = await client.identity.put_weights(weights, idempotency_key="beside")
        job = await client.identity.wait_for_job(scheduled.job_id)
        listed = (await client.identity.get_jobs()).jobs
        return {
            "neurons": len(neurons),
            "state": job.state,
            "is_listed": job.job_id in {one.job_id for one in listed},
        }


async def main() -> None:
    request = json.loads(sys.argv[1])
    addresses = request["addresses"]
    found = await asyncio.gather(
        *(use_client(address, request["identity"], request["token"]) for address in addresses)
    )
    result = {"file": pylon_client.__file__, "found": dict(zip(addresses, found, strict=True))}
    json.dump(result, sys.stdout)


asyncio.run(main())
