"""Both clients over both transports against `pylon up --devnet` have the same results."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import Any

import httpx
import pytest
import pytest_asyncio

from pylon.cli.up.devnet_identities import identity_token
from pylon_client import job_poller
from pylon_client.v1 import (
    AsyncConfig,
    AsyncPylonClient,
    BlockNumber,
    Config,
    ExtrinsicIndex,
    GetNeuronsResponse,
    Hotkey,
    IdentityName,
    Job,
    JobState,
    NetUid,
    PylonClient,
    PylonClosed,
    PylonForbidden,
    PylonMisconfigured,
    PylonNotFound,
    Weight,
)
from pylon_devnet.population import hotkey
from tests.support.product.client_methods import METHODS
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.product import Product

NEURONS_OF_SN2 = 16
MINER_OF_SN2 = Hotkey(hotkey(2, 5))


def config_fields(address: str) -> dict[str, Any]:
    return {
        "address": address,
        "identity_name": IdentityName("sn2"),
        "identity_token": "devnet-sn2-token",
    }


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    async with Product(tmp_path_factory.mktemp("product")) as product:
        # All write to one subnet, one after the other.
        async with httpx.AsyncClient(base_url=product.control_url) as control:
            for item in ("WeightsSetRateLimit", "ServingRateLimit"):
                limit = {"netuid": 2, "item": item, "value": 0}
                (await control.post("/set-hyperparameter", json=limit)).raise_for_status()
        yield product


async def neurons_at(address: str, number: BlockNumber) -> list[GetNeuronsResponse]:
    """The same neurons asked for in every way that there is over one transport."""
    async with AsyncPylonClient(AsyncConfig(**config_fields(address))) as client:
        asynchronous = [
            await client.open_access.get_neurons(NetUid(2), number),
            await client.identity.get_neurons(number),
        ]
        latest = [
            await client.open_access.get_latest_neurons(NetUid(2)),
            await client.identity.get_latest_neurons(),
        ]
        assert all(len(each.neurons) == NEURONS_OF_SN2 for each in latest)
        assert all(each.block.number >= number for each in latest)
        with pytest.raises(PylonNotFound):
            await client.open_access.get_latest_neurons(NetUid(999))
        with pytest.raises(PylonNotFound):
            await client.identity.get_neurons(BlockNumber(2**32 - 1))

    def synchronous() -> list[GetNeuronsResponse]:
        with PylonClient(Config(**config_fields(address))) as client:
            assert client.identity.get_latest_block_info().number >= number
            return [
                client.open_access.get_neurons(NetUid(2), number),
                client.identity.get_neurons(number),
            ]

    return [*asynchronous, *await asyncio.to_thread(synchronous)]


async def test_both_transports_return_the_same_neurons(product: Product) -> None:
    async with AsyncPylonClient(AsyncConfig(address=product.url)) as client:
        number = (await client.open_access.get_latest_block_info()).number
    over_http, over_nats = await asyncio.gather(
        neurons_at(product.url, number), neurons_at(product.nats_url, number)
    )
    first, *others = [*over_http, *over_nats]
    assert first.block.number == number
    assert len(first.neurons) == NEURONS_OF_SN2
    assert all(other == first for other in others)


async def test_a_wrong_token_is_forbidden_over_both_transports(product: Product) -> None:
    for address in (product.url, product.nats_url):
        config = AsyncConfig(address=address, identity_name="sn2", identity_token="wrong")
        async with AsyncPylonClient(config) as client:
            with pytest.raises(PylonForbidden):
                await client.identity.get_latest_neurons()


@pytest.mark.parametrize("flavour", ["async", "sync"])
@pytest.mark.parametrize("over", ["http", "nats"])
async def test_waiting_for_a_job_receives_its_changes_without_polling(
    product: Product, over: str, flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A poll that came in time could not be distinguished from an event.
    monkeypatch.setattr(job_poller, "POLL_WHILE_LIVE_S", HANGS_AFTER_S)
    monkeypatch.setattr(job_poller, "POLL_INITIAL_DELAY_S", HANGS_AFTER_S)
    # The jobs of sn2 are counted elsewhere.
    fields: dict[str, Any] = {
        "address": product.url if over == "http" else product.nats_url,
        "identity_name": "sn12",
        "identity_token": identity_token("sn12"),
    }
    await product.devnet.control(
        "POST", "/set-hyperparameter", netuid=12, item="WeightsSetRateLimit", value=0
    )
    seen: list[JobState] = []

    def on_change(job: Job) -> None:
        seen.append(job.state)

    async with AsyncPylonClient(AsyncConfig(**fields)) as client:
        weights = {Hotkey(hotkey(12, 5)): Weight(1.0)}
        job_id = (await client.identity.put_weights(weights)).job_id
        if flavour == "async":
            ended = await client.identity.wait_for_job(job_id, on_change=on_change)
        else:

            def blocking() -> Job:
                with PylonClient(Config(**fields)) as client:
                    return client.identity.wait_for_job(job_id, on_change=on_change)

            ended = await asyncio.to_thread(blocking)
    assert ended.has_succeeded, ended
    assert seen[-1] is ended.state
    assert JobState.SUBMITTING in seen


@pytest.mark.parametrize("over", ["http", "nats"])
async def test_closing_the_client_ends_the_wait_for_a_job(
    product: Product, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_poller, "POLL_WHILE_LIVE_S", HANGS_AFTER_S)
    config = AsyncConfig(
        address=product.url if over == "http" else product.nats_url,
        identity_name="sn12",
        identity_token=identity_token("sn12"),
    )
    client = AsyncPylonClient(config)
    await client.open()
    await product.devnet.control("POST", "/pause")
    try:
        weights = {Hotkey(hotkey(12, 6)): Weight(1.0)}
        job_id = (await client.identity.put_weights(weights)).job_id
        seen = asyncio.Event()
        wait = asyncio.create_task(
            client.identity.wait_for_job(job_id, on_change=lambda _job: seen.set())
        )
        async with asyncio.timeout(HANGS_AFTER_S):
            await seen.wait()
        await client.close()
        async with asyncio.timeout(HANGS_AFTER_S):
            with pytest.raises(PylonClosed):
                await wait
    finally:
        await product.devnet.control("POST", "/resume")


async def test_an_unknown_identity_raises_over_both_transports(
    product: Product,
) -> None:
    """NATS rejects unknown users, and so cannot be asked for the known ones."""
    for address, kind in ((product.url, PylonMisconfigured), (product.nats_url, PylonForbidden)):
        config = AsyncConfig(address=address, identity_name="nobody", identity_token="wrong")
        async with AsyncPylonClient(config) as client:
            with pytest.raises(kind, match="'nobody'"):
                await client.identity.get_latest_neurons()


# Pylon replies NOT_FOUND for data that the devnet does not have.
NOTHING_THERE = {
    "get_revealed_commitments",
    "get_own_commitment",
    "get_own_typed_commitment",
    "get_own_revealed_commitments",
    "get_own_certificate",
    "get_job",
    "wait_for_job",
}
READS = [(accessor, method) for accessor, method in METHODS if method.operation.method == "GET"]


@pytest.mark.parametrize("flavour", ["async", "sync"])
@pytest.mark.parametrize("transport", ["http", "nats"])
async def test_every_read_has_a_reply(product: Product, transport: str, flavour: str) -> None:
    address = product.url if transport == "http" else product.nats_url
    fields = config_fields(address)
    async with AsyncPylonClient(AsyncConfig(**fields)) as client:
        number = (await client.open_access.get_latest_block_info()).number
        instead = {"netuid": NetUid(2), "block_number": number, "hotkey": MINER_OF_SN2}
        instead |= {"since": number, "extrinsic_index": ExtrinsicIndex(0)}

        def call_all_blocking() -> None:
            with PylonClient(Config(**fields)) as blocking:
                for accessor, method in READS:
                    if method.name in NOTHING_THERE:
                        with pytest.raises(PylonNotFound):
                            method.call(blocking, accessor, **instead)
                    else:
                        reply = method.call(blocking, accessor, **instead)
                        assert type(reply) is method.operation.reply

        if flavour == "sync":
            await asyncio.to_thread(call_all_blocking)
            return
        for accessor, method in READS:
            if method.name in NOTHING_THERE:
                with pytest.raises(PylonNotFound):
                    await method.call(client, accessor, **instead)
            else:
                reply = await method.call(client, accessor, **instead)
                assert type(reply) is method.operation.reply
    assert len(READS) > 50


async def until_readable(product: Product) -> None:
    """Wait until reads show what was included so far: publishing may be behind the chain."""
    best_number = await product.devnet.best_number()

    async def is_published() -> bool:
        return (await product.get("/api/v1/block/latest")).json()["number"] >= best_number

    await comes_true(is_published)


@pytest.mark.parametrize("transport", ["http", "nats"])
async def test_writes_are_visible_in_reads(product: Product, transport: str) -> None:
    name, netuid = ("sn1", 1) if transport == "http" else ("sn2", 2)
    config = AsyncConfig(
        address=product.url if transport == "http" else product.nats_url,
        identity_name=name,
        identity_token=identity_token(name),
    )
    miner = Hotkey(hotkey(netuid, 5))
    async with AsyncPylonClient(config) as client, asyncio.timeout(HANGS_AFTER_S):
        scheduled = await client.identity.put_weights({miner: Weight(1.0)}, idempotency_key="one")
        again = await client.identity.put_weights({miner: Weight(1.0)}, idempotency_key="one")
        assert scheduled.count == 1
        assert again.job_id == scheduled.job_id
        committed = await client.identity.set_commitment(b"\x01\xff")
        await until_readable(product)
        own = await client.identity.get_own_commitment()
        assert (own.hotkey, own.commitment) == (hotkey(netuid, 0), "0x01ff")
        job = await client.identity.wait_for_job(scheduled.job_id, timeout_s=90)
        assert job.state is JobState.CONFIRMED, job
        jobs = (await client.identity.get_jobs()).jobs
        assert [each.job_id for each in jobs] == [committed.job_id, scheduled.job_id]
        cancelled = await client.identity.cancel_job(scheduled.job_id)
        assert cancelled == job, "an ended job does not change"
        with pytest.raises(ValueError, match="ss58"):
            await client.identity.put_weights({Hotkey("5C"): Weight(1.0)})


@pytest.mark.parametrize("transport", ["http", "nats"])
async def test_the_blocking_client_writes(product: Product, transport: str) -> None:
    config = Config(
        address=product.url if transport == "http" else product.nats_url,
        identity_name="sn12",
        identity_token=identity_token("sn12"),
    )

    def weights_over_http() -> None:
        with PylonClient(config) as client:
            weights = {Hotkey(hotkey(12, 20)): Weight(1.0)}
            job_id = client.identity.put_weights(weights).job_id
            job = client.identity.wait_for_job(job_id, timeout_s=90)
            assert job.state is JobState.COMMITTED, job
            assert job.reveal_round
            assert client.identity.get_job(job_id) == job

    loop = asyncio.get_running_loop()

    def wait_until_readable() -> None:
        asyncio.run_coroutine_threadsafe(until_readable(product), loop).result()

    def the_rest_over_nats() -> None:
        with PylonClient(config) as client:
            client.identity.set_commitment(b"\x02")
            wait_until_readable()
            assert client.identity.get_own_commitment().commitment == "0x02"
            made = client.identity.generate_certificate()
            assert made.job_id is not None
            assert client.identity.wait_for_job(made.job_id).has_succeeded
            wait_until_readable()
            assert client.identity.get_own_certificate().public_key == made.public_key

    await asyncio.to_thread(weights_over_http if transport == "http" else the_rest_over_nats)


@pytest.mark.parametrize("flavour", ["async", "sync"])
@pytest.mark.parametrize("transport", ["http", "nats"])
async def test_all_writes_and_streams(product: Product, transport: str, flavour: str) -> None:
    fields = config_fields(product.url if transport == "http" else product.nats_url)
    async with AsyncPylonClient(AsyncConfig(**fields)) as client:
        with PylonClient(Config(**fields)) as blocking:

            async def call(name: str, *arguments: Any) -> Any:
                if flavour == "async":
                    return await getattr(client.identity, name)(*arguments)
                return await asyncio.to_thread(getattr(blocking.identity, name), *arguments)

            async def first_two(name: str, *arguments: Any) -> list[Any]:
                if flavour == "async":
                    async with aclosing(getattr(client.open_access, name)(*arguments)) as values:
                        return [await anext(values), await anext(values)]
                with closing(getattr(blocking.open_access, name)(*arguments)) as values:
                    return [await asyncio.to_thread(next, values) for _ in range(2)]

            # Each way has different content, so that none joins the job of another.
            own = f"{transport} {flavour}"
            weights = {Hotkey(hotkey(2, 6)): Weight(len(own)), MINER_OF_SN2: Weight(1.0)}
            scheduled = await call("put_weights", weights)
            job = await call("wait_for_job", scheduled.job_id)
            assert job.state is JobState.CONFIRMED, job
            assert await call("get_job", scheduled.job_id) == job
            assert await call("cancel_job", scheduled.job_id) == job
            assert job in (await call("get_jobs")).jobs

            await call("set_commitment", own.encode())
            await until_readable(product)
            committed = (await call("get_own_commitment")).commitment
            assert bytes.fromhex(committed.removeprefix("0x")) == own.encode()
            made = await call("generate_certificate")
            assert (await call("wait_for_job", made.job_id)).has_succeeded
            await until_readable(product)
            assert (await call("get_own_certificate")).public_key == made.public_key
            timelocked = await call("set_revealed_commitment", own, 100)
            await until_readable(product)
            typed = (await call("get_own_typed_commitment")).commitment
            assert (typed.kind, typed.reveal_round) == (
                "timelock_encrypted",
                timelocked.reveal_round,
            )

            blocks = await first_two("blocks")
            assert blocks[1].number == blocks[0].number + 1
            snapshots = await first_two("neuron_snapshots", NetUid(2))
            assert snapshots[1].block.number == snapshots[0].block.number + 1
            assert len(snapshots[1].neurons) == NEURONS_OF_SN2
            changes = await first_two("neuron_changes", NetUid(2))
            assert changes[1].from_block == changes[0].block
