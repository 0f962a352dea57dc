"""The walk of a first-time user: failures caused by wrong use and wrong settings."""

import json
import re

import httpx
import pytest

from pylon_client.v1 import Config, Job, NetUid, PylonClient, PylonRequestException, Weight
from tests.support.product.free_ports import free_ports
from tests.support.product.secret_texts import secret_of
from tests.support.product.walk import NEURONS, Steps, Walk, problem

step = FIRST_CONTACT = Steps("anybody")


@step("HEAD has the status of GET, without a body")
async def _(walk: Walk) -> None:
    for path in ("/health", NEURONS):
        response = await walk.send("HEAD", path)
        assert (response.status_code, response.content) == (200, b"")


@step("HEAD of neurons has the tag of their block")
async def _(walk: Walk) -> None:
    assert (await walk.send("HEAD", NEURONS)).headers["etag"]


@step("a compressed request body is refused with 415")
async def _(walk: Walk) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    path = "/api/v1/identity/sn2/subnet/2/weights"
    response = await walk.send("PUT", path, "sn2", content=b"\x1f\x8b", headers=headers)
    assert response.status_code == 415


@step("a failed connection names its address")
async def _(walk: Walk) -> None:
    (port,) = free_ports(1)
    with (
        PylonClient(Config(address=f"http://127.0.0.1:{port}")) as client,
        pytest.raises(PylonRequestException, match=f"127.0.0.1:{port}"),
    ):
        client.open_access.get_latest_neurons(NetUid(1))


@step("the command accepts -h")
async def _(walk: Walk) -> None:
    ended = await walk.command("-h")
    assert (ended.code, "Usage" in ended.out) == (0, True)


@step("a mistyped setting is named together with the nearest known one")
async def _(walk: Walk) -> None:
    passwords = {
        "PYLON_NATS_WORKER_PASSWORD": secret_of("worker"),
        "PYLON_NATS_BRIDGE_PASSWORD": secret_of("bridge"),
    }
    written = ("--out", "users/access.conf")
    ended = await walk.command("nats-conf", *written, PYLON_OPEN_ACESS_TOKEN="x", **passwords)
    text = ended.out + ended.err
    assert "PYLON_OPEN_ACESS_TOKEN" in text
    assert "PYLON_OPEN_ACCESS_TOKEN" in text


@step("with strict settings a mistyped one ends the start")
async def _(walk: Walk) -> None:
    wrong = {"PYLON_STRICT_SETTINGS": "true", "PYLON_OPEN_ACESS_TOKEN": "x"}
    ended = await walk.command("up", "--devnet", PYLON_HOME="second", **wrong)
    assert ended.code != 0
    assert "PYLON_OPEN_ACESS_TOKEN" in ended.err


@step("`pylon check --json` prints JSON")
async def _(walk: Walk) -> None:
    ended = await walk.command("check", "--json")
    assert ended.code == 0, ended
    assert json.loads(ended.out)


@step("`pylon jobs ls --json` prints JSON")
async def _(walk: Walk) -> None:
    ended = await walk.command("jobs", "ls", "--json")
    assert ended.code == 0, ended
    assert walk.seen["weights"] in json.dumps(json.loads(ended.out))


@step("the jobs are found from another folder by the home")
async def _(walk: Walk) -> None:
    home = str(walk.product.folder / "home")
    ended = await walk.command("jobs", "ls", "--home", home, PYLON_HOME="elsewhere")
    assert walk.seen["weights"] in ended.out, ended


@step("waiting for a job reports each of its states")
async def _(walk: Walk) -> None:
    states: list[str] = []
    async with walk.client("sn2") as client:
        keys = list((await client.identity.get_latest_neurons()).neurons)
        put = await client.identity.put_weights({keys[3]: Weight(1.0)})

        def on_change(job: Job) -> None:
            states.append(job.state)

        await client.identity.wait_for_job(put.job_id, on_change=on_change)
    assert states[-1] == "CONFIRMED"


@step("the worker's metrics have the last published block")
async def _(walk: Walk) -> None:
    text = await walk.metrics(walk.worker_url)
    assert re.search(r"^pylon_last_published_block [1-9]", text, re.MULTILINE)


@step("the worker's metrics have the age of that block")
async def _(walk: Walk) -> None:
    text = await walk.metrics(walk.worker_url)
    found = re.search(r"^pylon_last_published_age_seconds (\S+)$", text, re.MULTILINE)
    assert found
    assert float(found[1]) < 60


@step("a second `pylon up` in the same home fails with one line")
async def _(walk: Walk) -> None:
    ended = await walk.command("up", "--devnet")
    assert ended.code == 1
    assert ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err


@step("each failure in the document of the API has an example")
async def _(walk: Walk) -> None:
    async with httpx.AsyncClient(base_url=walk.product.url) as client:
        document = (await client.get("/schema/openapi.json")).json()
    assert "NOT_FOUND" in json.dumps(document)


@step("an unknown mechanism is not an unknown subnet")
async def _(walk: Walk) -> None:
    number = walk.seen["included"]
    path = f"/api/v1/identity/sn2/subnet/2/mechanism/7/block/{number}/weights/status"
    assert "mechanism 7" in problem(await walk.get(path, "sn2"), 404, "NOT_FOUND").lower()
