"""The published clients, unmodified, against `pylon up --devnet`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio

from pylon.cli.up.devnet_identities import identity_token
from pylon.jobs.epochs import ACCEPTED_SLACK_BLOCKS
from pylon.wallets.hotkeys import ed25519_public_key
from pylon_client._async.identity import AsyncIdentity
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, ErrorCode, JobState, PylonNotFound
from pylon_devnet.population import hotkey
from tests.support.product.environments import ROOT, python_with
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.job_deployment import has_error, wait_until
from tests.support.product.product import Product

SCRIPTS = ROOT / "tests" / "compat" / "scripts"
IDENTITY, NETUID, NEURONS = "sn1", 1, 256
MINER = hotkey(NETUID, 64)
"""A miner with a commitment and a certificate at genesis."""
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
"""Methods that these clients list, but refuse themselves before they send a request."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    async with Product(tmp_path_factory.mktemp("product")) as product:
        yield product


async def printed_by(version: str, script: str, request: Mapping[str, Any]) -> Any:
    """Run a script in the environment of a published client; return the JSON that it printed."""
    python = await asyncio.to_thread(python_with, f"published-{version}")
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-I", str(SCRIPTS / script), json.dumps(request)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output)


def config_of(product: Product, identity: str) -> dict[str, str]:
    return {
        "address": product.url,
        "open_access_token": "any",
        "identity_name": identity,
        "identity_token": identity_token(identity),
    }


async def method_outcomes(
    product: Product, version: str, module: str, api: str
) -> Mapping[str, Any]:
    """Return the result or the exception of each method of a published client."""
    async with AsyncPylonClient(AsyncConfig(address=product.url)) as client:
        number = (await client.open_access.get_latest_block_info()).number
    request = {
        "module": module,
        "api": api,
        "devnet_status": f"{product.devnet.control_url}/status",
        "latest_block": f"{product.url}/api/v1/block/latest",
        "config": config_of(product, IDENTITY),
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
    return await printed_by(version, "published_client.py", request)


def expected_failure(method: str, not_served: set[str]) -> str | None:
    """Return the name of the exception that a method raises; None if it returns a value."""
    if method in not_served:
        return "AttributeError"
    return "PylonNotFound" if method in NOTHING_THERE else None


def check(outcomes_by_key: Mapping[str, Any], not_served: set[str], methods: int) -> None:
    wrong = {
        key: outcome
        for key, outcome in outcomes_by_key.items()
        if outcome.get("raised") != expected_failure(key.rpartition(".")[2], not_served)
    }
    assert wrong == {}
    assert len(outcomes_by_key) == 2 * methods
    for key, outcome in outcomes_by_key.items():
        if key.endswith("neurons"):
            assert len(outcome["returned"]["neurons"]) == NEURONS
        if key.endswith(".get_commitment"):
            assert MINER in json.dumps(outcome["returned"])
        if key.endswith(".get_own_commitment"):
            assert WRITTEN in json.dumps(outcome["returned"])
        # Both flavours have the same result, except for newer blocks.
        other = key.replace("async.", "sync.")
        assert outcome.keys() == outcomes_by_key[other].keys()


async def test_the_oldest_client_logs_in_and_keeps_its_cookie(product: Product) -> None:
    check(await method_outcomes(product, "1.0.0", "pylon_client.v1", ""), NOT_IN_V1["1.0.0"], 10)


async def test_the_second_newest_client_logs_in(product: Product) -> None:
    check(
        await method_outcomes(product, "1.9.0", "pylon_client.artanis", "v1"),
        NOT_IN_V1["1.9.0"],
        29,
    )


async def test_the_newest_client_authenticates_with_its_token(product: Product) -> None:
    check(
        await method_outcomes(product, "2.3.1", "pylon_client.artanis", "v1"),
        NOT_IN_V1["2.3.1"],
        43,
    )


async def test_the_unstable_api_of_the_newest_client_works_for_existing_operations(
    product: Product,
) -> None:
    seen = dict(await method_outcomes(product, "2.3.1", "pylon_client.artanis", "unstable"))
    for flavour in ("async", "sync"):
        logs = seen.pop(f"{flavour}.open_access.get_evm_logs")
        assert logs["raised"] == "PylonNotFound"
    for key in ("open_access", "identity"):
        commitment = seen[f"async.{key}.get_commitment"]["returned"]["commitment"]
        assert commitment["kind"] == "hex_data"
    check(seen, set(), 42)


Call = tuple[str, str, Mapping[str, Any]]


async def outcomes(product: Product, version: str, *calls: Call) -> list[Mapping[str, Any]]:
    """Return the results or exceptions of a published client's calls as sn2.

    Args:
        product: the running product.
        version: version of the client.
        calls: the accessor, the method and the arguments of each.
    """
    oldest = version == "1.0.0"
    request = {
        "module": "pylon_client.v1" if oldest else "pylon_client.artanis",
        "models": "pylon_client.v1" if oldest else "pylon_client.artanis.v1",
        "api": "" if oldest else "unstable",
        "config": config_of(product, "sn2"),
        "calls": calls,
    }
    return await printed_by(version, "published_calls.py", request)


def put_weights(uid: int) -> Call:
    return "identity", "put_weights", {"weights": {hotkey(2, uid): 1.0}}


def weights_status(block: int) -> Call:
    return "identity", "get_weights_status", {"block_number": block}


def submitted(outcome: Mapping[str, Any]) -> bool:
    return outcome["returned"]["weights_submitted"]


@pytest_asyncio.fixture(loop_scope="module")
async def sn2(product: Product) -> AsyncGenerator[AsyncIdentity]:
    """Connect sn2 at the start of a long epoch, on a chain that makes no blocks."""
    await product.devnet.control("POST", "/pause")
    for item, blocks in (("Tempo", 50_000), ("WeightsSetRateLimit", 0)):
        await product.devnet.control(
            "POST", "/set-hyperparameter", netuid=2, item=item, value=blocks
        )
    await product.devnet.advance(3)
    config = AsyncConfig(
        address=product.url, identity_name="sn2", identity_token=identity_token("sn2")
    )
    async with AsyncPylonClient(config) as client:
        yield client.identity
    await product.devnet.control("POST", "/resume")


async def test_weights_count_from_their_acceptance_for_every_block_of_their_epoch(
    product: Product, sn2: AsyncIdentity
) -> None:
    (put,) = await outcomes(product, "2.3.1", put_weights(5))
    assert "returned" in put
    job = (await sn2.get_jobs()).jobs[0]
    assert job.epoch_block is not None
    before, first, newest = await outcomes(
        product,
        "2.3.1",
        weights_status(job.epoch_block - 1),
        weights_status(job.epoch_block),
        weights_status(await product.devnet.best_number()),
    )
    assert (submitted(before), submitted(first), submitted(newest)) == (False, True, True)
    # No block was made since then: the weights are not on the chain yet.
    assert not (await sn2.get_weights_status(job.epoch_block)).weights_on_chain
    assert not (await sn2.get_job(job.job_id)).has_ended
    await product.devnet.control("POST", "/resume")
    assert (await sn2.wait_for_job(job.job_id)).state is JobState.CONFIRMED


@pytest.mark.parametrize("version", ["1.0.0", "1.9.0", "2.3.1"])
async def test_a_key_pair_is_returned_with_both_halves_before_it_is_on_the_chain(
    product: Product, sn2: AsyncIdentity, version: str
) -> None:
    """The published clients have the model, but no method that requests a key pair."""
    path = "/api/v1/identity/sn2/subnet/2/certificates/self"
    async with httpx.AsyncClient(trust_env=False, timeout=HANGS_AFTER_S) as http:
        answer = await http.post(
            f"{product.url}{path}",
            json={"algorithm": 1},
            headers={"Authorization": f"Bearer {identity_token('sn2')}"},
        )
    assert answer.status_code == 201
    pair = answer.json()
    (read,) = await outcomes(product, version, ("models", "NeuronCertificateKeypair", pair))
    assert read["returned"] == {
        name: pair[name] for name in ("algorithm", "public_key", "private_key")
    }
    private_key = bytes.fromhex(pair["private_key"].removeprefix("0x"))
    assert pair["public_key"] == f"0x{ed25519_public_key(private_key).hex()}"
    assert not (await sn2.get_job(pair["job_id"])).has_ended


async def test_weights_before_the_hotkey_is_registered_wait_for_the_end_of_the_epoch(
    product: Product, sn2: AsyncIdentity
) -> None:
    devnet = product.devnet
    await devnet.control("POST", "/deregister-neuron", netuid=2, hotkey=hotkey(2, 0))
    await devnet.advance()
    for version in ("1.0.0", "1.9.0", "2.3.1"):
        (put,) = await outcomes(product, version, put_weights(6))
        assert "returned" in put
        job = (await sn2.get_jobs()).jobs[0]
        await wait_until(sn2, job.job_id, has_error(ErrorCode.NOT_REGISTERED))
        assert job.accepted_block is not None
        assert (await sn2.get_weights_status(job.accepted_block)).weights_submitted
        await devnet.advance(ACCEPTED_SLACK_BLOCKS + 1)
        await devnet.control("POST", "/trigger-epoch", netuid=2)
        await devnet.advance(2)
        ended = await sn2.wait_for_job(job.job_id)
        assert ended.state is JobState.EXPIRED
        assert ended.last_error is not None
        assert "not registered" in ended.last_error.detail
        with pytest.raises(PylonNotFound, match="not registered"):
            await sn2.get_weights_status(job.accepted_block)
