"""The walk of a subnet developer: a validator's and a miner's program, written with the client."""

import pytest

from pylon_client.testing import FakePylon, reads, sample_neurons
from pylon_client.v1 import (
    ErrorCode,
    Hotkey,
    JobState,
    NetUid,
    PylonForbidden,
    PylonMisconfigured,
    PylonNotFound,
    PylonResponseException,
    Weight,
)
from pylon_devnet.population import hotkey
from tests.support.product.job_deployment import is_deferred, wait_until
from tests.support.product.secret_texts import SHORT_SECRET
from tests.support.product.walk import Steps, Walk

step = DEVELOPER = Steps("subnet developer")


def neuron(netuid: int, uid: int) -> Hotkey:
    """Return the hotkey of a neuron of the simulated chain."""
    return Hotkey(hotkey(netuid, uid))


async def hotkeys(walk: Walk, netuid: int = 1) -> list[Hotkey]:
    """Return the hotkeys of a subnet, in the order of their uids."""
    async with walk.client() as client:
        return list((await client.open_access.get_latest_neurons(NetUid(netuid))).neurons)


@step("tests run against a fake Pylon, without any process")
async def _(walk: Walk) -> None:
    pylon = FakePylon()
    pylon.answer(reads.LATEST_NEURONS, sample_neurons(count=3))
    async with pylon.async_client() as client:
        assert len((await client.identity.get_latest_neurons()).neurons) == 3


@step("the error of a client without an identity names the missing setting")
async def _(walk: Walk) -> None:
    async with walk.client() as client:
        with pytest.raises(PylonMisconfigured, match="identity"):
            await client.identity.get_latest_neurons()


@step("a wrong token is forbidden over NATS, and its value is not shown")
async def _(walk: Walk) -> None:
    wrong = {"identity_name": "sn1", "identity_token": SHORT_SECRET}
    async with walk.client(over_nats=True, **wrong) as client:
        with pytest.raises(PylonForbidden) as refused:
            await client.identity.get_latest_neurons()
    assert SHORT_SECRET not in str(refused.value)


@step("a validator reads its own subnet without naming it")
async def _(walk: Walk) -> None:
    async with walk.client("sn1", over_nats=True) as client:
        assert len((await client.identity.get_latest_neurons()).neurons) == 256


@step("a validator finds its own neuron with a permit")
async def _(walk: Walk) -> None:
    async with walk.client("sn1") as client:
        neurons = (await client.identity.get_latest_neurons()).neurons
    assert neurons[neuron(1, 0)].validator_permit


@step("weights put over NATS are accepted at once")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk)
    async with walk.client("sn1", over_nats=True) as client:
        scheduled = await client.identity.put_weights(
            {keys[1]: Weight(0.5), keys[2]: Weight(0.5)}, idempotency_key="epoch-1"
        )
    walk.seen["of_validator"] = scheduled.job_id


@step("the same key is the same job, over HTTP too")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk)
    async with walk.client("sn1") as client:
        again = await client.identity.put_weights(
            {keys[1]: Weight(0.5), keys[2]: Weight(0.5)}, idempotency_key="epoch-1"
        )
    assert again.job_id == walk.seen["of_validator"]


@step("the same key for other weights is a conflict")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk)
    async with walk.client("sn1") as client:
        with pytest.raises(PylonResponseException) as refused:
            await client.identity.put_weights({keys[3]: Weight(1.0)}, idempotency_key="epoch-1")
    assert refused.value.code == ErrorCode.CONFLICT


@step("the job is confirmed, with its block and its extrinsic")
async def _(walk: Walk) -> None:
    async with walk.client("sn1") as client:
        job = await client.identity.wait_for_job(walk.job("of_validator"))
    assert job.state is JobState.CONFIRMED
    assert job.extrinsic is not None
    walk.seen["extrinsic_block"] = job.included_block


@step("the extrinsic is found in its block")
async def _(walk: Walk) -> None:
    path = f"/api/v1/block/{walk.seen['extrinsic_block']}/extrinsic/1"
    response = await walk.get(path)
    assert response.status_code == 200, response.text
    assert "weights" in response.text


@step("the chain shows one application of the weights, not two")
async def _(walk: Walk) -> None:
    counts = await walk.product.devnet.control("GET", "/applied/counts")
    assert sum(counts[hotkey(1, 0)].values()) == 1


@step("weights of unregistered hotkeys are left out and reported")
async def _(walk: Walk) -> None:
    keys, stranger = await hotkeys(walk), neuron(2, 5)
    async with walk.client("sn1") as client:
        put = await client.identity.put_weights({keys[1]: Weight(1.0), stranger: Weight(1.0)})
        job = await client.identity.wait_for_job(put.job_id)
    assert [one.hotkey for one in job.left_out] == [stranger]


@step("a weight below zero is refused before anything is sent")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk)
    async with walk.client("sn1") as client:
        with pytest.raises((ValueError, PylonResponseException)):
            await client.identity.put_weights({keys[1]: Weight(-1.0)})


@step("weights that the chain rate-limits wait")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk)
    await walk.control("/set-hyperparameter", netuid=1, item="WeightsSetRateLimit", value=5000)
    async with walk.client("sn1") as client:
        put = await client.identity.put_weights({keys[4]: Weight(1.0)})
        job = await wait_until(client.identity, put.job_id, is_deferred)
    assert job.state is JobState.WAITING
    walk.seen["deferred"] = job.job_id


@step("the reason for waiting is the chain's rate limit, with the block")
async def _(walk: Walk) -> None:
    async with walk.client("sn1") as client:
        job = await client.identity.get_job(walk.job("deferred"))
    assert job.last_error is not None
    assert job.last_error.code is ErrorCode.RATE_LIMITED
    assert job.retry_at_block is not None


@step("newer weights replace waiting ones")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk)
    async with walk.client("sn1") as client:
        newer = await client.identity.put_weights({keys[5]: Weight(1.0)})
        old = await client.identity.get_job(walk.job("deferred"))
    assert (old.state, old.superseded_by) == (JobState.SUPERSEDED, newer.job_id)
    walk.seen["newer"] = newer.job_id


@step("a job that waits can be cancelled")
async def _(walk: Walk) -> None:
    async with walk.client("sn1") as client:
        job = await client.identity.cancel_job(walk.job("newer"))
    assert job.state is JobState.CANCELLED
    await walk.control("/set-hyperparameter", netuid=1, item="WeightsSetRateLimit", value=0)


@step("weights on a commit-reveal subnet are committed, with the round of their reveal")
async def _(walk: Walk) -> None:
    keys = await hotkeys(walk, 12)
    async with walk.client("sn12") as client:
        put = await client.identity.put_weights({keys[1]: Weight(1.0)})
        job = await client.identity.wait_for_job(put.job_id)
    assert job.state is JobState.COMMITTED
    assert job.reveal_round


@step("a commitment is on the chain when the call that sets it returns")
async def _(walk: Walk) -> None:
    async with walk.client("sn2") as client:
        answer = await client.identity.set_commitment("0x776a")
        own = await client.identity.get_own_commitment()
    assert answer.detail == "Commitment set successfully."
    assert own.commitment == "0x776a"


@step("others read that commitment")
async def _(walk: Walk) -> None:
    async with walk.client() as client:
        answer = await client.open_access.get_commitments(NetUid(2))
    assert answer.commitments[neuron(2, 0)] == "0x776a"


@step("the typed commitment contains the data")
async def _(walk: Walk) -> None:
    async with walk.client() as client:
        answer = await client.open_access.get_typed_commitment(NetUid(2), neuron(2, 0))
    assert "776a" in answer.model_dump_json()


@step("a commitment that is not hexadecimal is refused")
async def _(walk: Walk) -> None:
    async with walk.client("sn2") as client:
        with pytest.raises((ValueError, PylonResponseException)):
            await client.identity.set_commitment("not hex")


@step("a timelocked commitment has a round at which it opens")
async def _(walk: Walk) -> None:
    async with walk.client("sn12") as client:
        answer = await client.identity.set_revealed_commitment("later", blocks_until_reveal=50)
    assert answer.reveal_round > 0


@step("nothing is revealed yet")
async def _(walk: Walk) -> None:
    async with walk.client("sn12") as client:
        with pytest.raises(PylonNotFound):
            await client.identity.get_own_revealed_commitments()


@step("a certificate is made, and its public key is on the chain")
async def _(walk: Walk) -> None:
    async with walk.client("sn2") as client:
        pair = await client.identity.generate_certificate()
        job_id = (await client.identity.get_jobs()).jobs[0].job_id
        await client.identity.wait_for_job(job_id)
        own = await client.identity.get_own_certificate()
    assert own.public_key == pair.public_key


@step("the certificate's private key is not in any job")
async def _(walk: Walk) -> None:
    response = await walk.get("/api/v1/identity/sn2/subnet/2/jobs", "sn2")
    assert "private" not in response.text


@step("the certificate of a miner without one is not found")
async def _(walk: Walk) -> None:
    async with walk.client() as client:
        with pytest.raises(PylonNotFound):
            await client.open_access.get_certificate(NetUid(2), neuron(2, 7))


@step("jobs are listed in pages")
async def _(walk: Walk) -> None:
    async with walk.client("sn1") as client:
        first = await client.identity.get_jobs(limit=1)
        assert first.next is not None
        second = await client.identity.get_jobs(limit=1, before=first.next)
    assert first.jobs[0].job_id != second.jobs[0].job_id


@step("the last stored drand round can be read")
async def _(walk: Walk) -> None:
    assert (await walk.get("/api/v1/block/latest/drand/last_stored_round")).status_code == 200


@step("EVM addresses can be read")
async def _(walk: Walk) -> None:
    response = await walk.get("/api/v1/subnet/1/block/latest/evm_associations")
    assert response.status_code == 200
