"""The committed documents are those of the code, and valid by the standards they follow."""

import copy
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from pylon_client.contract.asyncapi import asyncapi_document
from pylon_client.contract.operations import NATS_OPERATIONS, OPERATIONS, Scope
from scripts.documents import DOCUMENTS, json_of, openapi_document, text_of

DOCS = Path(__file__).parents[3] / "docs"
ASYNCAPI_SCHEMA = Path(__file__).parent / "schemas" / "asyncapi-3.0.0.json"


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return openapi_document()


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return asyncapi_document()


@pytest.fixture(scope="module")
def asyncapi_validator() -> Draft7Validator:
    schema = json.loads(ASYNCAPI_SCHEMA.read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_committed_document_is_that_of_the_code(name: str, openapi: dict[str, Any]) -> None:
    text = json_of(openapi) if name == "docs/openapi.json" else text_of(name)
    is_current = (DOCS.parent / name).read_text() == text
    assert is_current, f"{name} is out of date: run `nox -s documents` and commit it"


@pytest.mark.integration  # another app
def test_what_is_set_here_does_not_change_the_documents(
    openapi: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLON_DEFAULT_REQUEST_TIMEOUT_SECONDS", "5")
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")
    monkeypatch.setenv("PYLON_IDENTITIES", "not even a list")
    assert openapi_document() == openapi


@pytest.mark.integration
def test_the_openapi_document_is_valid(openapi: dict[str, Any]) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # slow to import

    assert openapi["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(openapi).iter_errors()) == []
    broken = copy.deepcopy(openapi)
    del broken["paths"]["/health"]["get"]["responses"]["200"]["description"]
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_the_asyncapi_document_is_valid(
    asyncapi: dict[str, Any], asyncapi_validator: Draft7Validator
) -> None:
    assert [error.message for error in asyncapi_validator.iter_errors(asyncapi)] == []
    for breaking in (
        {"operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/event.block"}}}},
        {"channels": {"x": {"address": 5}}},
        {"components": {"schemas": {"x": {"discriminator": {"propertyName": "kind"}}}}},
    ):
        assert not asyncapi_validator.is_valid(asyncapi | breaking)


def references(value: Any) -> Generator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_reference_leads_somewhere(openapi: dict[str, Any], asyncapi: dict[str, Any]) -> None:
    for document in (openapi, asyncapi):
        found = set(references(document))
        assert len(found) > 30
        for reference in found:
            assert resolved(document, reference)


def test_every_operation_is_in_both_documents(
    openapi: dict[str, Any], asyncapi: dict[str, Any]
) -> None:
    over_rest = {
        (row.method.lower(), row.rest_path(scope)) for row in OPERATIONS for scope in row.scopes
    }
    documented = {
        (method, path) for path, methods in openapi["paths"].items() for method in methods
    }
    assert over_rest <= documented
    over_nats = {f"{scope}.{row.name}" for row in NATS_OPERATIONS for scope in row.scopes}
    events = {"event.block", "event.neurons", "event.changes", "event.job"}
    assert set(asyncapi["operations"]) == over_nats | events
    for scope in Scope:
        assert any(name.startswith(scope) for name in over_nats)


def test_every_operation_id_is_its_own(openapi: dict[str, Any]) -> None:
    ids = [
        route["operationId"] for methods in openapi["paths"].values() for route in methods.values()
    ]
    assert len(set(ids)) == len(ids)
