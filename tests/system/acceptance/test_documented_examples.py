"""Every example of the API documentation works behind a proxy with a path prefix.

The proxy removes the prefix from requests and does not rewrite responses.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio

from pylon_client.v1 import AsyncConfig, AsyncPylonClient, NetUid
from tests.support.k8s.prefix_proxy import prefix_proxy
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.product import Product

PREFIX = "/gateways/pylon"
SN1 = {"Authorization": "Bearer devnet-sn1-token"}
NOTHING_THERE = {"open_commitments_revealed_of", "identity_commitments_revealed_of"}
"""The devnet begins without revealed commitments."""
OWN = {
    "identity_commitments_self",
    "identity_commitments_typed_self",
    "identity_commitments_revealed_self",
    "identity_certificates_self",
}
"""404 until the identity's hotkey has written, and again after a timelocked commitment."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    settings = {"PYLON_BRIDGE_ROOT_PATH": PREFIX}
    async with Product(tmp_path_factory.mktemp("product"), settings=settings) as product:
        yield product


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(product: Product) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        prefix_proxy(PREFIX, product.url) as url,
        httpx.AsyncClient(base_url=url, timeout=HANGS_AFTER_S, trust_env=False) as client,
    ):
        yield client


async def test_the_swagger_page_and_its_assets_are_served_behind_the_prefix(
    proxy: httpx.AsyncClient,
) -> None:
    redirect = await proxy.get(f"{PREFIX}/schema")
    page = await proxy.get(redirect.headers["Location"])
    linked = re.findall(r"""(?:src|href|url)[=:]\s*["']([^"']+)["']""", page.text)
    assert len(linked) == 4
    for url in linked:
        assert (await proxy.get(url)).status_code == 200, url


async def test_every_example_is_accepted(proxy: httpx.AsyncClient) -> None:
    document = (await proxy.get(f"{PREFIX}/schema/openapi.json")).json()
    (server,) = document["servers"]
    outcomes: dict[str, int] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            outcomes[operation["operationId"]] = await sent(
                proxy, method, f"{server['url']}{path}", operation
            )
    for name, status in outcomes.items():
        of_job = re.search("_jobs_(get|cancel)|_job_stream", name)
        missing = of_job or name in NOTHING_THERE
        expected = {404} if missing else {200, 404} if name in OWN else {200, 201, 204}
        assert status in expected, f"{name}: {status}"
    assert len(outcomes) > 60


async def sent(
    proxy: httpx.AsyncClient, method: str, path: str, operation: Mapping[str, Any]
) -> int:
    """Send an operation with its documented examples, and return the status."""
    parameters = [p for p in operation.get("parameters", ()) if "example" in p]
    in_path, in_query = (
        {p["name"]: p["example"] for p in parameters if p["in"] == place}
        for place in ("path", "query")
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    async with (
        asyncio.timeout(HANGS_AFTER_S),
        proxy.stream(
            method.upper(),
            path.format(**in_path),
            headers=SN1,
            params=in_query,
            **({} if body is None else {"json": body["example"]}),
        ) as response,
    ):
        if response.is_error and response.status_code != 404:
            pytest.fail(f"{operation['operationId']}: {(await response.aread()).decode()}")
        if response.headers.get("Content-Type", "").startswith("text/event-stream"):
            assert (await anext(response.aiter_lines())).startswith("event: ")
        return response.status_code


async def test_examples_of_failures_have_the_status_and_a_code_of_their_response(
    proxy: httpx.AsyncClient,
) -> None:
    document = (await proxy.get(f"{PREFIX}/schema/openapi.json")).json()
    examples = document["components"]["examples"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                if status[0] == "2" or not content:
                    continue
                bodies = [examples[name]["value"] for name in content.get("examples", ())]
                bodies += [content["example"]] if "example" in content else []
                assert bodies, f"{operation['operationId']} has no example of {status}"
                for body in bodies:
                    assert body["detail"]
                    assert status in {"default", str(body["status_code"])}
                    assert body["code"] in response["description"] or body["code"] in {
                        "INVALID",
                        "INTERNAL",
                    }
    assert "string" not in json.dumps(examples)


async def test_a_session_and_the_client_work_behind_the_prefix(proxy: httpx.AsyncClient) -> None:
    login = await proxy.post(
        f"{PREFIX}/api/v1/login/identity/sn1", json={"token": "devnet-sn1-token"}
    )
    assert login.status_code == 200
    own = f"{PREFIX}/api/v1/identity/sn1/subnet/1/jobs"
    assert (await proxy.get(own)).status_code == 200
    assert (await proxy.post(f"{PREFIX}/api/v1/logout")).status_code == 204
    assert (await proxy.get(own)).status_code == 401
    address = str(proxy.base_url).rstrip("/")
    async with AsyncPylonClient(AsyncConfig(address=f"{address}{PREFIX}")) as client:
        neurons = await client.open_access.get_latest_neurons(NetUid(1))
    assert len(neurons.neurons) == 256


@pytest.mark.parametrize("path", ["/health", "/api/v1/subnet/1/block/latest/neurons"])
async def test_head_has_the_headers_of_get(product: Product, path: str) -> None:
    async with httpx.AsyncClient(base_url=product.url, trust_env=False) as client:
        head, again = await client.head(path), await client.head(path)
        get = await client.get(path)
    assert {head.status_code, again.status_code, get.status_code} == {200}
    assert head.content == b""
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0
    assert head.headers.keys() == get.headers.keys()
