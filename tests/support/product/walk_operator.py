"""The walk of an operator who comes from the published service: identities, metrics, commands."""

import json
import re

from pylon.cli.up.devnet_identities import identity_token
from tests.support.product.walk import METRICS_TOKEN, NEURONS, Steps, Walk, problem
from tests.support.wire.event_stream import listening_client

step = OPERATOR = Steps("operator")

OWN = "/api/v1/identity/sn2/subnet/2"


@step("an identity's path requires its token")
async def _(walk: Walk) -> None:
    problem(await walk.get(f"{OWN}/block/latest/neurons"), 401, "UNAUTHENTICATED")


@step("the token of another identity is refused")
async def _(walk: Walk) -> None:
    problem(await walk.get(f"{OWN}/block/latest/neurons", "sn1"), 403, "FORBIDDEN")


@step("an identity reads its own subnet")
async def _(walk: Walk) -> None:
    assert len((await walk.get(f"{OWN}/block/latest/neurons", "sn2")).json()["neurons"]) == 16


@step("a request for another subnet than the identity's is redirected")
async def _(walk: Walk) -> None:
    path = "/api/v1/identity/sn2/subnet/1/block/latest/neurons"
    response = await walk.get(path, "sn2", follow_redirects=False)
    assert response.status_code == 308


@step("an identity that does not exist is not found")
async def _(walk: Walk) -> None:
    response = await walk.get("/api/v1/identity/nobody/subnet/1/block/latest/neurons", "sn2")
    assert response.status_code in {403, 404}


@step("a login gives a session that reads like the token")
async def _(walk: Walk) -> None:
    async with listening_client(walk.product.url) as http:
        done = await http.post("/api/v1/login/identity/sn2", json={"token": identity_token("sn2")})
        assert done.status_code == 200
        assert (await http.get(f"{OWN}/jobs")).status_code == 200
        assert (await http.post("/api/v1/logout")).status_code == 204
        assert (await http.get(f"{OWN}/jobs")).status_code == 401


@step("a login with a wrong token is refused")
async def _(walk: Walk) -> None:
    response = await walk.send("POST", "/api/v1/login/identity/sn2", json={"token": "wrong"})
    assert response.status_code == 403


@step("the rate limits of the simulated chain can be disabled")
async def _(walk: Walk) -> None:
    for netuid in (1, 2, 12):
        for item in ("WeightsSetRateLimit", "MinAllowedWeights", "ServingRateLimit"):
            await walk.control("/set-hyperparameter", netuid=netuid, item=item, value=0)


@step("the response to weights has the published text")
async def _(walk: Walk) -> None:
    neurons = list((await walk.get("/api/v1/subnet/2/block/latest/neurons")).json()["neurons"])
    walk.seen["neurons"] = neurons
    weights = {"weights": {neurons[1]: 0.7, neurons[2]: 0.3}}
    response = await walk.send("PUT", f"{OWN}/weights", "sn2", json=weights)
    body = response.json()
    assert (response.status_code, body["detail"], body["count"]) == (
        200,
        "weights update scheduled",
        2,
    )
    walk.seen["weights"] = body["job_id"]


@step("weights of another identity are refused")
async def _(walk: Walk) -> None:
    weights = {"weights": {walk.seen["neurons"][1]: 1.0}}
    problem(await walk.send("PUT", f"{OWN}/weights", "sn1", json=weights), 403, "FORBIDDEN")


@step("the error names weights that are not numbers")
async def _(walk: Walk) -> None:
    hotkey = walk.seen["neurons"][1]
    response = await walk.send("PUT", f"{OWN}/weights", "sn2", json={"weights": {hotkey: "much"}})
    problem(response, 400, "INVALID")
    assert hotkey in response.text


@step("an empty set of weights is refused")
async def _(walk: Walk) -> None:
    response = await walk.send("PUT", f"{OWN}/weights", "sn2", json={"weights": {}})
    problem(response, 400, "INVALID")


@step("a body that is not JSON is refused")
async def _(walk: Walk) -> None:
    headers = {"Content-Type": "application/json"}
    response = await walk.send("PUT", f"{OWN}/weights", "sn2", content=b"{", headers=headers)
    problem(response, 400, "INVALID")


@step("the weights are on the chain after some blocks")
async def _(walk: Walk) -> None:
    async with walk.client("sn2") as client:
        job = await client.identity.wait_for_job(walk.job("weights"))
    assert job.state == "CONFIRMED"
    walk.seen["included"] = job.included_block


@step("the status of the weights at a block can be read")
async def _(walk: Walk) -> None:
    path = f"{OWN}/mechanism/0/block/{walk.seen['included']}/weights/status"
    assert (await walk.get(path, "sn2")).status_code == 200


@step("the job is listed with its block")
async def _(walk: Walk) -> None:
    jobs = (await walk.get(f"{OWN}/jobs", "sn2")).json()["jobs"]
    (job,) = (one for one in jobs if one["job_id"] == walk.seen["weights"])
    assert job["included_block"] == walk.seen["included"]


@step("jobs can be listed by whether they have ended")
async def _(walk: Walk) -> None:
    listed = (await walk.get(f"{OWN}/jobs", "sn2", params={"state": "ended"})).json()["jobs"]
    assert walk.seen["weights"] in {one["job_id"] for one in listed}


@step("a job that does not exist is not found")
async def _(walk: Walk) -> None:
    problem(await walk.get(f"{OWN}/jobs/{'a' * 26}", "sn2"), 404, "NOT_FOUND")


@step("the job of another identity is not found")
async def _(walk: Walk) -> None:
    path = f"/api/v1/identity/sn1/subnet/1/jobs/{walk.seen['weights']}"
    problem(await walk.get(path, "sn1"), 404, "NOT_FOUND")


@step("metrics require their token")
async def _(walk: Walk) -> None:
    assert (await walk.get("/metrics")).status_code in {401, 403}


@step("the bridge's metrics have the published names and labels")
async def _(walk: Walk) -> None:
    text = await walk.metrics(walk.product.url)
    route = re.escape("/api/v1/subnet/{netuid}/block/latest/neurons")
    assert re.search(rf'pylon_requests_total{{[^}}]*method="GET"[^}}]*path="{route}"', text)
    assert "pylon_request_duration_seconds_bucket" in text


@step("the worker's metrics have the published names")
async def _(walk: Walk) -> None:
    text = await walk.metrics(walk.worker_url)
    assert "pylon_bittensor_operation_duration_seconds" in text
    assert "pylon_apply_weights_job_duration_seconds" in text


@step("no metric shows a token")
async def _(walk: Walk) -> None:
    text = await walk.metrics(walk.product.url) + await walk.metrics(walk.worker_url)
    assert METRICS_TOKEN not in text
    assert identity_token("sn2") not in text


@step("a request id is returned")
async def _(walk: Walk) -> None:
    response = await walk.get(NEURONS, headers={"X-Request-Id": "walk-1"})
    assert response.headers["X-Request-Id"] == "walk-1"


@step("`pylon jobs ls` lists the job")
async def _(walk: Walk) -> None:
    ended = await walk.command("jobs", "ls")
    assert ended.code == 0, ended
    (line,) = (one for one in ended.out.splitlines() if walk.seen["weights"] in one)
    assert "sn2 on 2 weights CONFIRMED" in line


@step("`pylon jobs show` shows it as JSON")
async def _(walk: Walk) -> None:
    ended = await walk.command("jobs", "show", walk.seen["weights"])
    assert json.loads(ended.out)["included_block"] == walk.seen["included"]


@step("`pylon jobs cancel` does not change an ended job")
async def _(walk: Walk) -> None:
    ended = await walk.command("jobs", "cancel", walk.seen["weights"])
    assert "CONFIRMED" in ended.out


@step("`pylon check` finds no problem of the running Pylon")
async def _(walk: Walk) -> None:
    ended = await walk.command("check")
    assert ended.code == 0, ended
    assert "This is about the Pylon that runs from" in ended.out


@step("`pylon nats-conf` writes users to a private file")
async def _(walk: Walk) -> None:
    ended = await walk.command(
        *("nats-conf", "--out", "users/access.conf"),
        PYLON_NATS_WORKER_PASSWORD="pylon-test-secret-of-worker",
        PYLON_NATS_BRIDGE_PASSWORD="pylon-test-secret-of-bridge",
    )
    assert ended.code == 0, ended
    path = walk.product.folder / "users" / "access.conf"
    assert path.stat().st_mode & 0o777 == 0o600
    assert 'user: "sn12"' in path.read_text()


@step("the error for an invalid setting names it")
async def _(walk: Walk) -> None:
    wrong = {"PYLON_BRIDGE_MAX_REQUESTS": "0", "PYLON_HOME": "second"}
    ended = await walk.command("up", "--devnet", **wrong)
    assert (ended.code, "PYLON_BRIDGE_MAX_REQUESTS" in ended.err) == (2, True), ended


@step("the error of a second instance names the used port")
async def _(walk: Walk) -> None:
    port = str(walk.product.port)
    ended = await walk.command("up", "--devnet", "--port", port, PYLON_HOME="second")
    assert ended.code == 1
    assert "cannot be used" in ended.err
    assert ended.err.count("\n") == 1
