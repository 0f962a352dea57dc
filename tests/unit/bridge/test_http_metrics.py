import asyncio
import re
from collections.abc import AsyncGenerator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from bridge.settings import BridgeSettings
from tests.support.nats.scripted_nats import (
    OPEN_TOKEN,
    SN1_TOKEN,
    Asked,
    ScriptedNats,
    bridge_client,
)
from tests.support.product.eventually import comes_true

METRICS_TOKEN = "metrics-token"
NEURONS = "/api/v1/subnet/{netuid}/block/latest/neurons"
LABELS = {"method", "path", "status_code", "app_name"}


@pytest.fixture
def settings() -> BridgeSettings:
    return BridgeSettings().model_copy(update={"metrics_token": SecretStr(METRICS_TOKEN)})


@pytest.fixture
async def client(nats: ScriptedNats, settings: BridgeSettings) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller with open access, of an app that has counted nothing."""
    async with bridge_client(nats, settings) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        yield client


async def samples(client: httpx.AsyncClient) -> dict[str, list[tuple[dict[str, str], float]]]:
    response = await client.get(
        "/metrics", headers={b"Authorization": f"Bearer {METRICS_TOKEN}".encode()}
    )
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def test_requests_are_counted_by_their_route_and_status(client: httpx.AsyncClient) -> None:
    for netuid in (1, 2, 3):
        await client.get(NEURONS.format(netuid=netuid))
    await client.get(NEURONS.format(netuid="no-netuid"))
    found = await samples(client)
    assert [labels for labels, _ in found["pylon_requests_total"]] == [
        {"method": "GET", "path": NEURONS, "status_code": "200", "app_name": "bittensor-pylon"},
        {"method": "GET", "path": NEURONS, "status_code": "400", "app_name": "bittensor-pylon"},
    ]
    assert [value for _, value in found["pylon_requests_total"]] == [3, 1]
    durations = dict.fromkeys(
        labels["status_code"] for labels, _ in found["pylon_request_duration_seconds_bucket"]
    )
    assert list(durations) == ["200", "400"]
    assert all(set(labels) == LABELS for labels, _ in found["pylon_request_duration_seconds_count"])


async def test_unknown_paths_are_not_metric_labels(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/nothing", "/etc/passwd", f"/{OPEN_TOKEN}"):
        await client.get(path)
    await client.request("BREW", NEURONS.format(netuid=1))
    found = await samples(client)
    assert {(labels["method"], labels["path"]) for labels, _ in found["pylon_requests_total"]} == {
        ("GET", "unmatched"),
        ("OTHER", "unmatched"),
    }


async def test_failures_of_ours_are_counted_apart(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    def fail(_asked: Asked) -> bytes:
        raise RuntimeError("a bug")

    nats.answer = fail
    await client.get(NEURONS.format(netuid=1))
    found = await samples(client)
    errors = found["pylon_requests_error_total"]
    assert [(labels["status_code"], value) for labels, value in errors] == [("500", 1)]


async def test_requests_in_progress_are_counted(
    nats: ScriptedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()
    inner = nats.request

    async def slow(*arguments: object, **options: object) -> object:
        await goes_on.wait()
        return await inner(*arguments, **options)  # pyright: ignore[reportArgumentType] -- handed on

    monkeypatch.setattr(nats, "request", slow)
    settings = BridgeSettings().model_copy(update={"metrics_token": SecretStr(METRICS_TOKEN)})
    async with bridge_client(nats, settings) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        asking = asyncio.create_task(client.get(NEURONS.format(netuid=1)))

        async def running() -> list[float]:
            found = await samples(client)
            in_progress = found["pylon_requests_in_progress"]
            return [value for labels, value in in_progress if labels["path"] == NEURONS]

        async def is_one() -> bool:
            return await running() == [1.0]

        await comes_true(is_one)
        goes_on.set()
        await asking
        assert await running() == [0.0]


async def test_no_token_is_in_them(client: httpx.AsyncClient) -> None:
    await client.get(NEURONS.format(netuid=1))
    response = await client.get(
        "/metrics", headers={b"Authorization": f"Bearer {METRICS_TOKEN}".encode()}
    )
    for secret in (OPEN_TOKEN, SN1_TOKEN, METRICS_TOKEN):
        assert secret not in response.text
    assert re.search(r'pylon_build_info\{component="bridge",version=', response.text)
