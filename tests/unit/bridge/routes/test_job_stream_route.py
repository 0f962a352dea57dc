"""Frames of a job's stream, and access to it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from bridge.settings import BridgeSettings
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobState
from pylon_client.contract.types import IdentityName, JobId, JobKind, NetUid
from tests.support.nats.scripted_nats import (
    OPEN_TOKEN,
    SN1_TOKEN,
    Asked,
    ScriptedNats,
    SharedBridge,
    bridge_client,
)
from tests.support.product.eventually import HANGS_AFTER_S, eventually
from tests.support.wire.asgi_stream import Stream

JOB_ID = JobId("a" * 26)
PATH = f"/api/v1/identity/sn1/subnet/1/jobs/{JOB_ID}/stream"
SUBJECT = f"pylon.v1.event.job.sn1.{JOB_ID}"
SN1 = {"Authorization": f"Bearer {SN1_TOKEN}"}
ONE_STREAM = SharedBridge()
ACCEPTED, SUBMITTING, CONFIRMED = JobState.ACCEPTED, JobState.SUBMITTING, JobState.CONFIRMED


def job(state: JobState, at_ms: int, **fields: Any) -> bytes:
    return json_codec.encode(
        Job(
            job_id=JOB_ID,
            identity=IdentityName("sn1"),
            netuid=NetUid(1),
            kind=JobKind.WEIGHTS,
            state=state,
            created_at_ms=1,
            updated_at_ms=at_ms,
            **fields,
        )
    )


@pytest.fixture
def nats() -> ScriptedNats:
    """A NATS whose job was accepted."""
    return ScriptedNats(answer=lambda _asked: job(ACCEPTED, 1))


@pytest.fixture
async def client_of_one(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller of an app with a slot for one stream."""
    async with ONE_STREAM.client(nats, BridgeSettings(bridge_max_streams=1)) as client:
        yield client


@pytest.fixture
async def own_client(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller of an app of the test's own, which can therefore be stopped."""
    async with bridge_client(nats, BridgeSettings(bridge_max_streams=1)) as client:
        yield client


def sent(stream: Stream) -> list[tuple[str, Any]]:
    """The events so far: their names, and the states or else the data."""
    events: list[tuple[str, Any]] = []
    for frame in stream.body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line)
        if "data" in fields:
            data = json.loads(fields["data"])
            events.append((fields["event"], data.get("state", data)))
    return events


def states(stream: Stream) -> list[str]:
    return [state for _, state in sent(stream)]


async def test_the_job_as_it_is_comes_first_then_each_change_until_its_end(
    client_of_one: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    stream = Stream(client_of_one, PATH, **SN1)
    await eventually(lambda: states(stream) == [ACCEPTED])
    assert [asked.subject for asked in nats.asked] == ["pylon.v1.identity.sn1.jobs.get"]
    assert json.loads(nats.asked[0].body) == {"job_id": JOB_ID}
    publish = nats.callbacks[SUBJECT]
    publish(job(ACCEPTED, 1))  # in the response already
    publish(job(SUBMITTING, 2, attempts=1))
    publish(job(SUBMITTING, 2, attempts=1))
    publish(job(SUBMITTING, 2, attempts=2))  # another change within the same millisecond
    publish(job(ACCEPTED, 1))  # one that was overtaken
    publish(b"not of this version")
    publish(job(CONFIRMED, 3))
    publish(job(CONFIRMED, 3))
    async with asyncio.timeout(HANGS_AFTER_S):
        await stream.task
    assert sent(stream) == [
        ("job", state) for state in (ACCEPTED, SUBMITTING, SUBMITTING, CONFIRMED)
    ]
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "private, no-store"
    assert not nats.callbacks, "nobody listens any more"
    assert len(nats.asked) == 1


async def test_an_ended_job_is_sent_once(
    client_of_one: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    nats.answer = lambda _asked: job(CONFIRMED, 9)
    response = await client_of_one.get(PATH, headers=SN1)
    assert response.status_code == 200
    assert response.text.count("event: job\n") == response.text.count("event:") == 1


async def test_a_bridge_that_stops_says_so(
    own_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    stream = Stream(own_client, PATH, **SN1)
    await stream.has("ACCEPTED")
    transport: Any = own_client._transport
    transport.app.state.close_streams()
    async with asyncio.timeout(HANGS_AFTER_S):
        await stream.task
    assert [name for name, _ in sent(stream)] == ["job", "closing"]
    late = await own_client.get(PATH, headers=SN1)
    assert "event: closing" in late.text
    assert not nats.callbacks


async def test_a_stream_counts_towards_the_limit_until_it_ends(
    client_of_one: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    stream = Stream(client_of_one, PATH, **SN1)
    await stream.has("ACCEPTED")
    refused = await client_of_one.get(PATH, headers=SN1)
    assert (refused.status_code, refused.json()["code"]) == (429, "OVERLOADED")
    await stream.leave()
    assert not nats.callbacks
    nats.answer = lambda _asked: job(CONFIRMED, 2)
    assert (await client_of_one.get(PATH, headers=SN1)).status_code == 200


async def test_an_unknown_job_is_not_found(
    client_of_one: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    def answer(_asked: Asked) -> bytes:
        raise FailureError(ErrorCode.NOT_FOUND, "There is no such job.")

    nats.answer = answer
    response = await client_of_one.get(PATH, headers=SN1)
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert not nats.callbacks


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {}, 401),
        (PATH, {"Authorization": f"Bearer {OPEN_TOKEN}"}, 403),
        (PATH.replace("/sn1/", "/sn2/"), SN1, 403),
        (PATH.replace("/subnet/1/", "/subnet/2/"), SN1, 308),
        (PATH.replace(JOB_ID, "A" * 26), SN1, 400),
        (PATH.replace(JOB_ID, "*"), SN1, 400),
        (PATH.replace(JOB_ID, "a" * 25), SN1, 400),
    ],
)
async def test_unauthorized_callers_and_unknown_jobs_get_no_stream(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await client.get(path, headers=headers)).status_code == status
    assert not nats.asked
    assert not nats.callbacks
