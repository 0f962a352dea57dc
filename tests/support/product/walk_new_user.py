"""The walk of a new user: from the first line of the README to the first stream."""

import json
from importlib.metadata import version

import pytest

from pylon_client.v1 import (
    BlockNumber,
    Config,
    NetUid,
    PylonClient,
    PylonNotFound,
    PylonRequestException,
)
from pylon_devnet.population import hotkey
from tests.support.product.free_ports import free_ports
from tests.support.product.walk import NEURONS, Steps, Walk, problem
from tests.support.wire.event_stream import EventStream, listening_client

step = NEW_USER = Steps("new user")


@step("the banner names the REST API, NATS and the page of the API")
async def _(walk: Walk) -> None:
    for text in (f"localhost:{walk.product.port}", walk.product.nats_url, "/schema/swagger"):
        assert text in walk.product.output


@step("the banner names three identities with their tokens")
async def _(walk: Walk) -> None:
    for name in ("sn1", "sn2", "sn12"):
        assert f"token devnet-{name}-token" in walk.product.output


@step("the banner's first curl line gives the neurons of a subnet")
async def _(walk: Walk) -> None:
    (line,) = (text for text in walk.product.output.splitlines() if "try      curl -s" in text)
    path = line.split(f"localhost:{walk.product.port}")[1]
    assert len((await walk.get(path)).json()["neurons"]) == 256


@step("the start logs no warning and no error")
async def _(walk: Walk) -> None:
    assert "WARNING" not in walk.product.output
    assert "ERROR" not in walk.product.output


@step("the process is alive")
async def _(walk: Walk) -> None:
    assert (await walk.get("/health")).status_code == 200


@step("requests can be served")
async def _(walk: Walk) -> None:
    assert (await walk.get("/health/ready")).json()["nats_connected"] is True


@step("the page of the API opens in a browser")
async def _(walk: Walk) -> None:
    page = await walk.get("/schema/swagger")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]


@step("the latest block has a number, a hash and a time")
async def _(walk: Walk) -> None:
    block = (await walk.get("/api/v1/block/latest")).json()
    assert block["number"] > 0
    assert block["hash"].startswith("0x")
    assert block["timestamp"] > 0


@step("the latest neurons name their block")
async def _(walk: Walk) -> None:
    response = await walk.get(NEURONS)
    walk.seen["block"] = response.json()["block"]["number"]
    assert response.headers["X-Pylon-Block-Number"] == str(walk.seen["block"])


@step("the neurons of that block can be read again by its number")
async def _(walk: Walk) -> None:
    number = walk.seen["block"]
    again = (await walk.get(f"/api/v1/subnet/1/block/{number}/neurons")).json()
    assert (again["block"]["number"], len(again["neurons"])) == (number, 256)


@step("recent neurons can be read")
async def _(walk: Walk) -> None:
    recent = (await walk.get("/api/v1/subnet/1/block/recent/neurons")).json()
    assert len(recent["neurons"]) == 256


@step("validators are fewer than neurons, the largest stake first")
async def _(walk: Walk) -> None:
    validators = (await walk.get("/api/v1/subnet/1/block/latest/validators")).json()["validators"]
    stakes = [one["stakes"]["total"] for one in validators]
    assert 0 < len(validators) < 256
    assert stakes == sorted(stakes, reverse=True)


@step("hyperparameters have the chain's names")
async def _(walk: Walk) -> None:
    answer = (await walk.get("/api/v1/subnet/1/block/latest/hyperparameters")).json()
    assert "weights_rate_limit" in json.dumps(answer)


@step("the price of a subnet and of all subnets agree")
async def _(walk: Walk) -> None:
    number = walk.seen["block"]
    one = (await walk.get(f"/api/v1/subnet/1/block/{number}/price")).json()
    everything = (await walk.get(f"/api/v1/block/{number}/prices")).json()
    assert one["price"] == everything["prices"]["1"]


@step("a miner's commitment can be read by its hotkey")
async def _(walk: Walk) -> None:
    miner = hotkey(1, 64)
    answer = await walk.get(f"/api/v1/subnet/1/block/latest/commitments/{miner}")
    assert answer.json()["hotkey"] == miner


@step("the identities of the service are listed without a token")
async def _(walk: Walk) -> None:
    text = (await walk.get("/api/v1/identities")).text
    assert all(name in text for name in ("sn1", "sn2", "sn12"))
    assert "token" not in text


@step("an unknown subnet is named in the failure")
async def _(walk: Walk) -> None:
    response = await walk.get("/api/v1/subnet/999/block/latest/neurons")
    assert "999" in problem(response, 404, "NOT_FOUND")


@step("a netuid that is not a number is an invalid request")
async def _(walk: Walk) -> None:
    problem(await walk.get("/api/v1/subnet/one/block/latest/neurons"), 400, "INVALID")


@step("a block of the future is not found")
async def _(walk: Walk) -> None:
    response = await walk.get("/api/v1/subnet/1/block/4000000000/neurons")
    problem(response, 404, "NOT_FOUND")


@step("the error for an unknown path is JSON")
async def _(walk: Walk) -> None:
    assert (await walk.get("/api/v1/nothing")).json()["status_code"] == 404


@step("an unchanged answer is not sent again")
async def _(walk: Walk) -> None:
    path = f"/api/v1/subnet/1/block/{walk.seen['block']}/neurons"
    etag = (await walk.get(path)).headers["etag"]
    assert (await walk.get(path, headers={"If-None-Match": etag})).status_code == 304


@step("responses are compressed for clients that accept it")
async def _(walk: Walk) -> None:
    response = await walk.get(NEURONS, headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert len(response.json()["neurons"]) == 256


@step("the Python client reads the same over HTTP and NATS")
async def _(walk: Walk) -> None:
    number = BlockNumber(walk.seen["block"])
    async with walk.client() as http, walk.client(over_nats=True) as nats:
        one = await http.open_access.get_neurons(NetUid(1), number)
        assert one == await nats.open_access.get_neurons(NetUid(1), number)


@step("the blocking client needs no event loop")
async def _(walk: Walk) -> None:
    with PylonClient(Config(address=walk.product.url)) as client:
        assert len(client.open_access.get_latest_neurons(NetUid(1)).neurons) == 256


@step("the client raises its own exception for an object that does not exist")
async def _(walk: Walk) -> None:
    async with walk.client() as client:
        with pytest.raises(PylonNotFound) as missing:
            await client.open_access.get_latest_neurons(NetUid(999))
    assert missing.value.code == "NOT_FOUND"


@step("the client raises an error if no service listens at its address")
async def _(walk: Walk) -> None:
    (port,) = free_ports(1)
    with (
        PylonClient(Config(address=f"http://127.0.0.1:{port}")) as client,
        pytest.raises(PylonRequestException),
    ):
        client.open_access.get_latest_neurons(NetUid(1))


@step("a stream of blocks gives one after the other over NATS")
async def _(walk: Walk) -> None:
    async with walk.client(over_nats=True) as client:
        blocks = client.open_access.blocks()
        first, second = await anext(blocks), await anext(blocks)
        await blocks.aclose()
    assert second.number == first.number + 1


@step("a stream of neurons comes over HTTP as server-sent events")
async def _(walk: Walk) -> None:
    async with (
        listening_client(walk.product.url) as http,
        EventStream.of(http, "/api/v1/subnet/1/neurons/stream") as stream,
    ):
        await stream.has(1)
    assert stream.events[0][0] == "neurons"


@step("the stream of an untracked subnet is not found")
async def _(walk: Walk) -> None:
    problem(await walk.get("/api/v1/subnet/7/neurons/stream"), 404, "NOT_FOUND")


@step("the command prints its version")
async def _(walk: Walk) -> None:
    ended = await walk.command("--version")
    assert (ended.code, ended.out) == (0, f"pylon {version('pylon-service')}\n")


@step("the help lists all commands")
async def _(walk: Walk) -> None:
    ended = await walk.command("--help")
    for name in ("up", "worker", "check", "watch", "jobs", "backup", "restore", "nats-conf"):
        assert f" {name} " in ended.out


@step("a mistyped command fails without a traceback")
async def _(walk: Walk) -> None:
    ended = await walk.command("upp")
    assert ended.code == 2
    assert "Traceback" not in ended.out + ended.err
