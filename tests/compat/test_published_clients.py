"""The clients that others have published, unmodified, against `pylon up --devnet`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from pylon.devnet.population import hotkey
from pylon.up.simulation import token
from pylon_client.v1 import AsyncConfig, AsyncPylonClient
from tests.support.environments import ROOT, python_with
from tests.support.eventually import HANGS_AFTER_S
from tests.support.product import Product

SCRIPT = ROOT / "tests" / "compat" / "scripts" / "published_client.py"
IDENTITY, NETUID, NEURONS = "sn1", 1, 256
MINER = hotkey(NETUID, 64)
"""It has a commitment and a certificate from the beginning."""
WRITTEN = "0x6869"
NOTHING_THERE = {"get_own_revealed_commitments", "get_revealed_commitments"}
"""The devnet begins without revealed commitments."""
NOT_IN_V1 = {
    "1.0.0": set[str](),
    "1.9.0": {
        "get_all_revealed_commitments",
        "get_drand_last_stored_round",
        "get_own_revealed_commitments",
        "get_revealed_commitments",
        "set_revealed_commitment",
    },
    "2.3.1": {
        "get_drand_last_stored_round",
        "get_evm_logs",
        "get_latest_price",
        "get_latest_prices",
        "get_price",
        "get_prices",
        "get_weights_status",
    },
}
"""What these clients list, and themselves refuse before anything is sent."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    async with Product(tmp_path_factory.mktemp("product")) as product:
        yield product


async def seen_by(product: Product, version: str, module: str, api: str) -> Mapping[str, Any]:
    """What each method of a published client returned or raised."""
    python = await asyncio.to_thread(python_with, f"published-{version}")
    async with AsyncPylonClient(AsyncConfig(address=product.url)) as client:
        number = (await client.open_access.get_latest_block_info()).number
    asked = {
        "module": module,
        "api": api,
        "devnet_status": f"{product.devnet.control_url}/status",
        "latest_block": f"{product.url}/api/v1/block/latest",
        "config": {
            "address": product.url,
            "open_access_token": "any",
            "identity_name": IDENTITY,
            "identity_token": token(IDENTITY),
        },
        "values": {
            "netuid": NETUID,
            "block_number": number,
            "extrinsic_index": 0,
            "hotkey": MINER,
            "weights": {MINER: 1.0},
            "commitment": WRITTEN,
            "contract_address": "0x" + "00" * 20,
            "from_block": number,
            "to_block": number,
            "abi": [],
        },
    }
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-I", str(SCRIPT), json.dumps(asked)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


def expected_failure(method: str, not_served: set[str]) -> str | None:
    """The exception that a method raises; None where it returns something."""
    if method in not_served:
        return "AttributeError"
    return "PylonNotFound" if method in NOTHING_THERE else None


def check(seen: Mapping[str, Any], not_served: set[str], methods: int) -> None:
    wrong = {
        key: outcome
        for key, outcome in seen.items()
        if outcome.get("raised") != expected_failure(key.rpartition(".")[2], not_served)
    }
    assert wrong == {}
    assert len(seen) == 2 * methods
    for key, outcome in seen.items():
        if key.endswith("neurons"):
            assert len(outcome["returned"]["neurons"]) == NEURONS
        if key.endswith(".get_commitment"):
            assert MINER in json.dumps(outcome["returned"])
        if key.endswith(".get_own_commitment"):
            assert WRITTEN in json.dumps(outcome["returned"])
        # Both flavours saw the same, apart from newer blocks.
        other = key.replace("async.", "sync.")
        assert outcome.keys() == seen[other].keys()


async def test_the_oldest_client_logs_in_and_keeps_its_cookie(product: Product) -> None:
    check(await seen_by(product, "1.0.0", "pylon_client.v1", ""), NOT_IN_V1["1.0.0"], 10)


async def test_the_client_before_the_last_logs_in_too(product: Product) -> None:
    check(await seen_by(product, "1.9.0", "pylon_client.artanis", "v1"), NOT_IN_V1["1.9.0"], 29)


async def test_the_newest_client_sends_its_token(product: Product) -> None:
    check(await seen_by(product, "2.3.1", "pylon_client.artanis", "v1"), NOT_IN_V1["2.3.1"], 43)


async def test_the_unstable_api_of_the_newest_client_as_far_as_there_are_operations(
    product: Product,
) -> None:
    seen = dict(await seen_by(product, "2.3.1", "pylon_client.artanis", "unstable"))
    for flavour in ("async", "sync"):
        logs = seen.pop(f"{flavour}.open_access.get_evm_logs")
        assert logs["raised"] == "PylonNotFound"
    for key in ("open_access", "identity"):
        commitment = seen[f"async.{key}.get_commitment"]["returned"]["commitment"]
        assert commitment["kind"] == "hex_data"
    check(seen, set(), 42)
