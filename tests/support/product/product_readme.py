"""The commands, settings and programs of the published service's readme."""

from typing import Final

QUICK_START: Final = """\
PYLON_BITTENSOR_NETWORK=finney
PYLON_BITTENSOR_WALLET_PATH=/root/.bittensor/wallets
PYLON_OPEN_ACCESS_TOKEN=my_open_access_token
"""
ONE_IDENTITY: Final = """\
PYLON_BITTENSOR_NETWORK=finney
PYLON_BITTENSOR_WALLET_PATH=/root/.bittensor/wallets
PYLON_IDENTITIES=["sn1"]
PYLON_ID_SN1_WALLET_NAME=my_wallet
PYLON_ID_SN1_HOTKEY_NAME=my_hotkey
PYLON_ID_SN1_NETUID=1
PYLON_ID_SN1_TOKEN=my_secret_token
"""
TWO_IDENTITIES: Final = """\
PYLON_IDENTITIES=["sn12", "sn89"]
PYLON_BITTENSOR_WALLET_PATH=~/.bittensor/wallets

# Identity: sn12
PYLON_ID_SN12_WALLET_NAME=sn12_wallet
PYLON_ID_SN12_HOTKEY_NAME=sn12_hotkey
PYLON_ID_SN12_NETUID=12
PYLON_ID_SN12_TOKEN=8GOqUEjyTuYXER790bm8LpSmOIDuPvbr

# Identity: sn89
PYLON_ID_SN89_WALLET_NAME=sn89_wallet
PYLON_ID_SN89_HOTKEY_NAME=sn89_hotkey
PYLON_ID_SN89_NETUID=89
PYLON_ID_SN89_TOKEN=IEYAWl9rPQAMTV0hqAKAaQtEYqqKws5z
"""
METRICS: Final = "PYLON_METRICS_TOKEN=your-secure-metrics-token\n"
SETTINGS_FILES: Final = (QUICK_START, ONE_IDENTITY, TWO_IDENTITIES, METRICS)

SETTINGS: Final = {
    "PYLON_BITTENSOR_NETWORK": "finney",
    "PYLON_BITTENSOR_ARCHIVE_NETWORK": "archive",
    "PYLON_BITTENSOR_ARCHIVE_BLOCKS_CUTOFF": "300",
    "PYLON_OPEN_ACCESS_TOKEN": "",
    "PYLON_IDENTITIES": "[]",
    "PYLON_WEIGHTS_RETRY_ATTEMPTS": "200",
    "PYLON_WEIGHTS_RETRY_DELAY_SECONDS": "1",
    "PYLON_COMMITMENT_RETRY_ATTEMPTS": "10",
    "PYLON_COMMITMENT_RETRY_DELAY_SECONDS": "1",
    "PYLON_METRICS_TOKEN": "",
    "PYLON_SENTRY_DSN": "",
    "PYLON_SENTRY_ENVIRONMENT": "development",
}
"""Names and defaults; the path of wallets is required there and has a default here."""

CURL_NEURONS: Final = """\
curl -X GET "http://localhost:8000/api/v1/subnet/1/block/latest/neurons" \\
     -H "Authorization: Bearer my_open_access_token"
"""
CURL_METRICS: Final = """\
curl http://localhost:8000/metrics -H "Authorization: Bearer your-secure-metrics-token"
"""
HTTP_METRICS: Final = (
    "pylon_requests_total",
    "pylon_request_duration_seconds",
    "pylon_requests_in_progress",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "python_gc_collections_total",
)

FIRST_PROGRAM: Final = """\
import asyncio
from pylon_client.v1 import AsyncPylonClient, AsyncConfig, NetUid

async def main():
    config = AsyncConfig(
        address="http://localhost:8000",
        open_access_token="my_open_access_token",
    )
    async with AsyncPylonClient(config) as client:
        response = await client.open_access.get_latest_neurons(netuid=NetUid(1))
        print(f"Block: {response.block.number}, Neurons: {len(response.neurons)}")

asyncio.run(main())
"""
SET_WEIGHTS: Final = """\
import asyncio
from pylon_client.v1 import AsyncPylonClient, AsyncConfig, Hotkey, Weight

async def main():
    config = AsyncConfig(
        address="http://localhost:8000",
        identity_name="sn1",
        identity_token="my_secret_token",
    )
    async with AsyncPylonClient(config) as client:
        weights = {Hotkey("5C..."): Weight(0.5), Hotkey("5D..."): Weight(0.3)}
        await client.identity.put_weights(weights=weights)

asyncio.run(main())
"""
BLOCKING: Final = """\
from pylon_client.v1 import PylonClient, Config, NetUid

with PylonClient(
    Config(
       address="http://localhost:8000",
       open_access_token="my_token",
    )
) as client:
    response = client.open_access.get_latest_neurons(netuid=NetUid(1))
    for hotkey, neuron in response.neurons.items():
        print(f"{hotkey}: rank={neuron.rank}, stake={neuron.stake}")
 # Client is automatically closed here
"""
ASYNCHRONOUS: Final = """\
import asyncio
from pylon_client.v1 import AsyncPylonClient, AsyncConfig, NetUid

async def main():
    async with AsyncPylonClient(AsyncConfig(
        address="http://localhost:8000",
        open_access_token="my_token",
    )) as client:
        response = await client.open_access.get_latest_neurons(netuid=NetUid(1))
        print(f"Found {len(response.neurons)} neurons")
    # Client is automatically closed here

asyncio.run(main())
"""
CONFIGURATIONS: Final = """\
from pylon_client.v1 import AsyncConfig

config = AsyncConfig(
    address="http://localhost:8000",
    open_access_token="my_token",
)
config = AsyncConfig(
    address="http://localhost:8000",
    identity_name="sn1",
    identity_token="my_secret_token",
)
config = AsyncConfig(
    address="http://localhost:8000",
    open_access_token="my_open_token",
    identity_name="sn1",
    identity_token="my_identity_token",
)
"""
OWN_RETRIES: Final = """\
from pylon_client.v1 import AsyncConfig, ASYNC_DEFAULT_RETRIES
from tenacity import stop_after_attempt, wait_random

config = AsyncConfig(
    address="http://localhost:8000",
    open_access_token="token",
    retry=ASYNC_DEFAULT_RETRIES.copy(
        wait=wait_random(min=0.1, max=0.3),
        stop=stop_after_attempt(5),
    )
)
"""
NO_RETRIES: Final = """\
from pylon_client.v1 import AsyncConfig, ASYNC_DEFAULT_RETRIES
from tenacity import stop_after_attempt

config = AsyncConfig(
    address="http://localhost:8000",
    open_access_token="token",
    retry=ASYNC_DEFAULT_RETRIES.copy(stop=stop_after_attempt(1))
)
"""
DATA_TYPES: Final = """\
from pylon_client.v1 import (
    # Core types
    Hotkey, Coldkey, BlockNumber, NetUid, Weight,

    # Models
    Block, Neuron, AxonInfo, Stakes,

    # Responses
    GetNeuronsResponse,
)
"""
PROGRAMS: Final = {
    "first program": FIRST_PROGRAM,
    "set weights": SET_WEIGHTS,
    "blocking": BLOCKING,
    "asynchronous": ASYNCHRONOUS,
    "without requests": f"{CONFIGURATIONS}\n{OWN_RETRIES}\n{NO_RETRIES}\n{DATA_TYPES}",
}

EXCEPTIONS: Final = {
    "PylonRequestException": "BasePylonException",
    "PylonResponseException": "BasePylonException",
    "PylonUnauthorized": "PylonResponseException",
    "PylonForbidden": "PylonResponseException",
    "PylonClosed": "BasePylonException",
    "PylonMisconfigured": "BasePylonException",
}
METHODS: Final = {
    "open_access": (
        *("get_latest_neurons(netuid)", "get_neurons(netuid, block_number)"),
        *("get_commitments(netuid)", "get_commitment(netuid, hotkey)"),
    ),
    "identity": (
        *("get_latest_neurons()", "get_neurons(block_number)", "put_weights(weights)"),
        *("get_commitments()", "get_commitment(hotkey)", "set_commitment(commitment)"),
    ),
}

INSTALL_CLIENT: Final = "pip install pylon-client"
SYNC: Final = "uv sync --extra dev"
COPY_SETTINGS: Final = "cp pylon_client/service/envs/test_env.template .env"
CHECKS: Final = (
    'nox -s test -- -k "test_name"',
    "nox -s format",
)
"""Beside `nox -s test`, which is the first without its choice of tests."""
SERVER: Final = "uvicorn pylon_client.service.main:app --reload --host 127.0.0.1 --port 8000"

IMAGE: Final = "backenddevelopersltd/bittensor-pylon:latest"
"""Published by others; `docs/compatibility.md` says what stands in its place."""
COMPOSE: Final = f"""\
services:
  pylon:
    image: {IMAGE}
    restart: unless-stopped
    env_file: ./.env
    volumes:
      - ~/.bittensor/wallets/:/root/.bittensor/wallets
"""
OF_THE_IMAGE: Final = (
    f"docker pull {IMAGE}",
    f"docker run -d --env-file .env -p 8000:8000 {IMAGE}",
    "docker compose up -d",
)
