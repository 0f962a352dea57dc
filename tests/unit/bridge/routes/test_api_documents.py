import re
from typing import Any

import httpx
import pytest

from tests.support.nats.scripted_nats import ScriptedNats, bridge_app

EXTERNAL = re.compile(r"""(?:https?:)?//[\w.-]+\.\w""")


async def test_the_page_for_people_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/schema/swagger")
    assert page.status_code == 200
    assert not EXTERNAL.search(page.text)
    assets = re.findall(r"""(?:src|href|url)[=:]\s*["']([^"']+)["']""", page.text)
    assert len(assets) == 4
    for asset in assets:
        response = await client.get(asset)
        assert response.status_code == 200
        assert response.content
    # By default the page sends the schema's address to a validator.
    assert '"validatorUrl": null' in page.text


@pytest.mark.parametrize("path", ["/schema", "/schema/"])
async def test_the_schemas_own_address_leads_to_the_page(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    assert response.has_redirect_location
    assert response.headers["Location"] == "/schema/swagger"


async def test_the_document_names_operations_for_good(client: httpx.AsyncClient) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    ids = {
        route["operationId"]: path
        for path, methods in document["paths"].items()
        for route in methods.values()
    }
    prefix = "/api/v1/identity/{identity_name}/subnet/{netuid}"
    assert (
        ids.items()
        >= {
            "open_block_latest": "/api/v1/block/latest",
            "open_neurons_latest": "/api/v1/subnet/{netuid}/block/latest/neurons",
            "open_neurons_at": "/api/v1/subnet/{netuid}/block/{block_number}/neurons",
            "identity_neurons_latest": f"{prefix}/block/latest/neurons",
            "identity_neurons_at": f"{prefix}/block/{{block_number}}/neurons",
            "identities": "/api/v1/identities",
            "health": "/health",
            "health_ready": "/health/ready",
        }.items()
    )


def operation_in(document: dict[str, Any], operation_id: str) -> dict[str, Any]:
    (found,) = [
        route
        for methods in document["paths"].values()
        for route in methods.values()
        if route["operationId"] == operation_id
    ]
    return found


async def test_the_document_describes_models_ranges_and_failures(client: httpx.AsyncClient) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    operation = operation_in(document, "identity_neurons_at")
    reply = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert reply == {"$ref": "#/components/schemas/SubnetNeurons"}
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert set(parameters) == {"identity_name", "netuid", "block_number", "X-Pylon-Timeout"}
    assert parameters["netuid"]["schema"]["maximum"] == 65_535
    assert parameters["netuid"]["schema"]["minimum"] == 0
    assert parameters["block_number"]["schema"]["maximum"] == 2**32 - 1
    failures = {"308", "400", "401", "403", "404", "429", "502", "503", "504", "default"}
    assert set(operation["responses"]) == failures | {"200", "304"}
    assert "content" not in operation["responses"]["304"]
    assert set(operation["responses"]["200"]["headers"]) == {
        "ETag",
        "X-Pylon-Block-Number",
        "X-Pylon-Source",
    }
    for status in failures:
        body = operation["responses"][status]["content"]["application/json"]["schema"]
        assert body == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_the_document_describes_replies_and_failures_of_writes(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    for name in ("weights_put", "commitment_set", "commitment_set_revealed"):
        responses = operation_in(document, f"identity_{name}")["responses"]
        assert "MISCONFIGURED" in responses["503"]["description"]
        assert "RUNTIME_UNSUPPORTED" in responses["502"]["description"]
        assert "NOT_REGISTERED" in responses["502"]["description"]
        assert "CANCELLED" in responses["409"]["description"]
    cancelling = operation_in(document, "identity_jobs_cancel")["responses"]
    assert cancelling["409"]["description"] == "CONFLICT"
    assert cancelling["503"]["description"] == "NATS_UNAVAILABLE"
    schemas = document["components"]["schemas"]
    for model, field in (
        ("WeightsScheduled", "warning"),
        ("WeightsStatus", "weights_on_chain"),
        ("NeuronCertificateKeypair", "job_id"),
        ("Job", "last_error"),
    ):
        assert field in schemas[model]["properties"]
        assert f"{field}: " in schemas[model]["description"]
    assert "CANCELLED" in schemas["JobState"]["enum"]
    assert {"MISCONFIGURED", "RUNTIME_UNSUPPORTED"} <= set(schemas["ErrorCode"]["enum"])


async def test_the_document_describes_the_token_of_a_route(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    schemes = {"OpenAccessToken", "IdentityToken", "IdentitySession"}
    assert set(document["components"]["securitySchemes"]) == schemes
    open_schemes = [{"OpenAccessToken": []}, {"IdentityToken": []}, {"IdentitySession": []}]
    assert operation_in(document, "open_block_latest")["security"] == open_schemes
    assert operation_in(document, "identity_neurons_at")["security"] == [
        {"IdentityToken": []},
        {"IdentitySession": []},
    ]
    assert "security" not in operation_in(document, "identities")
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")
    free = bridge_app(ScriptedNats()).openapi()
    assert "security" not in operation_in(free, "open_block_latest")
