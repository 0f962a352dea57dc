"""The product with configured identities, tokens and passwords, as an operator runs it.

`pylon up` connects to a devnet in a separate process.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_process import DevnetProcess
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.free_ports import free_ports
from tests.support.product.pylon_command import command_environment, pylon_argv
from tests.support.product.secret_texts import secret_of, with_keys
from tests.support.product.service_process import service_process

NETUIDS: Final = {"sn1": 1, "sn2": 2, "sn12": 12}
MINER: Final = hotkey(1, 64)
"""It has a commitment and a certificate from the beginning."""
BLOCK_TIME_S: Final = 0.25
POLL_S: Final = 0.05

OPEN_TOKEN: Final = secret_of("open-access")
METRICS_TOKEN: Final = secret_of("metrics")


@dataclass(frozen=True)
class SelfHostedProduct:
    """The addresses of the REST API, and of the worker's health and metrics.

    Attributes:
        url: URL of the REST API.
        worker_url: URL of the worker's health and metrics.
        nats_url: URL of the embedded nats-server.
        pid: process id of `pylon up`.
        devnet: the simulated chain.
    """

    url: str
    worker_url: str
    nats_url: str
    pid: int
    devnet: DevnetProcess


async def set_commitments(devnet: DevnetProcess, item: str, params: list[Any], value: Any) -> None:
    """Set a storage item of the pallet `Commitments`."""
    where = {"pallet": "Commitments", "item": item, "params": params}
    await devnet.control("POST", "/set-storage", **where, value=value)


@asynccontextmanager
async def self_hosted_product(folder: Path, **more: str) -> AsyncGenerator[SelfHostedProduct]:
    """Run `pylon up` and a devnet within the block.

    Args:
        folder: an empty folder for all files.
        more: further variables, by their full names.
    """
    port, nats_port, worker_port = free_ports(3)
    async with AsyncExitStack() as stack:
        devnet = await stack.enter_async_context(DevnetProcess(folder, block_time_s=BLOCK_TIME_S))
        variables = {
            "PYLON_BITTENSOR_NETWORK": with_keys(devnet.url),
            "PYLON_BITTENSOR_ARCHIVE_NETWORK": with_keys(devnet.url),
            "PYLON_BITTENSOR_WALLET_PATH": str(folder / "wallets"),
            "PYLON_BLOCK_DURATION_SECONDS": str(BLOCK_TIME_S),
            # On a slow machine, publishing falls behind blocks at this rate.
            "PYLON_RECENT_OBJECTS_HARD_LIMIT_BLOCKS": "1000000",
            "PYLON_OPEN_ACCESS_TOKEN": OPEN_TOKEN,
            "PYLON_METRICS_TOKEN": METRICS_TOKEN,
            "PYLON_HEALTH_PORT": str(worker_port),
            "PYLON_IDENTITIES": json.dumps(list(NETUIDS)),
        }
        for name, netuid in NETUIDS.items():
            write_wallet(folder / "wallets", name, "default")
            prefix = f"PYLON_ID_{name.upper()}"
            variables |= {
                f"{prefix}_NETUID": str(netuid),
                f"{prefix}_TOKEN": secret_of(name),
                f"{prefix}_WALLET_NAME": name,
                f"{prefix}_HOTKEY_NAME": "default",
            }
            # Disable the rate limits: writes then wait only for blocks.
            for limit in ("ServingRateLimit", "WeightsSetRateLimit"):
                await devnet.control(
                    "POST", "/set-hyperparameter", netuid=netuid, item=limit, value=0
                )
        await set_commitments(devnet, "MaxSpace", [], 2**31)
        for who in (hotkey(1, 0), MINER):
            await set_commitments(devnet, "RevealedCommitments", [1, who], [["0x186669727374", 20]])
        argv = pylon_argv("up", "--port", str(port), "--nats-port", str(nats_port))
        process = await stack.enter_async_context(
            service_process(argv, folder, command_environment(folder, variables | more))
        )
        async with asyncio.timeout(HANGS_AFTER_S):
            while "Ctrl-C stops it." not in (folder / "output").read_text():
                assert process.returncode is None
                await asyncio.sleep(POLL_S)
        yield SelfHostedProduct(
            f"http://127.0.0.1:{port}",
            f"http://127.0.0.1:{worker_port}",
            f"nats://127.0.0.1:{nats_port}",
            process.pid,
            devnet,
        )
