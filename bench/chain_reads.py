"""Reads of the chain with nothing but the SDK, in a process of their own.

    python -m bench.chain_reads URL

Each line of its input is `NUMBER NETUID...`; the process reads the hash and the time of this
block, and then for each subnet the two answers of which neurons consist, two subnets at a time. It
answers with the seconds that this took, and with the CPU time. The line `NUMBER decode NETUID
COUNT` decodes the two answers of a subnet some times, and is answered with the CPU time of one.
"""

import asyncio
import sys
import time
from typing import Any, Final, cast

import bittensor_core  # pyright: ignore[reportMissingTypeStubs] -- used through Any
from bittensor import RpcSubstrate

from bench.devnet import asking
from pylon_devnet.codec import SS58_FORMAT
from pylon_devnet.runtime.runtime_metadata import TRANSACTION_VERSION, build_metadata

ANSWERS: Final = (
    ("NeuronInfoRuntimeApi", "get_neurons_lite"),
    ("SubnetInfoRuntimeApi", "get_subnet_state"),
)
"""The runtime APIs whose answers are a subnet's neurons."""
AT_ONCE: Final = 2
_BLOCK_TIME_MS: Final = 12_000
"""Only a constant of the metadata."""


async def read(sdk: Any, number: int, netuids: list[int]) -> str:
    """Read a block, and subnets at it; return the seconds and the CPU time."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    block = await sdk.block_hash(number)
    await sdk.query("Timestamp", "Now", [], block)
    limit = asyncio.Semaphore(AT_ONCE)

    async def read_subnet(netuid: int) -> None:
        async with limit:
            await asyncio.gather(
                *(sdk.runtime_call(api, method, [netuid], block) for api, method in ANSWERS)
            )

    await asyncio.gather(*map(read_subnet, netuids))
    return f"{time.perf_counter() - began_s} {time.process_time() - began_cpu_s}"


async def decode(url: str, sdk: Any, number: int, netuid: int, count: int) -> str:
    """Decode the answers of a subnet some times; return the CPU time of one, in seconds."""
    block = await sdk.block_hash(number)
    metadata = build_metadata(_BLOCK_TIME_MS)
    runtime = cast("Any", bittensor_core).Runtime(
        *(metadata.encoded, metadata.declaration.spec_version, TRANSACTION_VERSION, SS58_FORMAT)
    )
    answers: list[tuple[str, str]] = []
    async with asking(url) as node:
        for api, method in ANSWERS:
            parameters = [f"{api}_{method}", netuid.to_bytes(2, "little").hex(), block]
            answer: str = await node.result("state_call", *parameters)
            output = runtime.runtime_api_map()[api][method]["output"]
            answers.append((output, answer.removeprefix("0x")))
    began_s = time.process_time()
    for _ in range(count):
        for output, answer in answers:
            runtime.decode(output, bytes.fromhex(answer), True)
    return f"{(time.process_time() - began_s) / count}"


async def main() -> None:
    """Answer requests until the input ends."""
    (url,) = sys.argv[1:]
    sdk = cast("Any", RpcSubstrate(url, fallback_endpoints=[], archive_endpoints=[]))
    await sdk.connect()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        number, *words = line.split()
        if words[:1] == ["decode"]:
            answer = await decode(url, sdk, int(number), int(words[1]), int(words[2]))
        else:
            answer = await read(sdk, int(number), list(map(int, words)))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
