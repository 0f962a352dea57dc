"""Writes take the parameters that are not in the path from the body."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

import bridge.request_body
from pylon_client.contract.topology import MAX_REQUEST_BYTES
from pylon_client.contract.writes import WRITE_OPERATIONS
from tests.support.nats.scripted_nats import SN1_TOKEN, ScriptedNats, SharedBridge, bridge_app

SN1 = "/api/v1/identity/sn1/subnet/1"
HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

WRITES = SharedBridge(WRITE_OPERATIONS)
"""An app of the writing operations alone."""


@pytest.fixture
async def sn1(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    async with WRITES.client(nats) as client:
        client.headers["Authorization"] = f"Bearer {SN1_TOKEN}"
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "operation", "params", "status"),
    [
        (
            "PUT",
            "/weights",
            {"weights": {HOTKEY: 0.5}},
            "weights.put",
            {"weights": {HOTKEY: 0.5}},
            200,
        ),
        (
            "PUT",
            "/mechanism/3/weights",
            {"weights": {HOTKEY: 1}},
            "weights.put_mechanism",
            {"weights": {HOTKEY: 1.0}, "mechanism_id": 3},
            200,
        ),
        (
            "POST",
            "/commitments",
            {"commitment": "ABCD"},
            "commitment.set",
            {"commitment": "0xabcd"},
            201,
        ),
        ("POST", "/certificates/self", {}, "certificate.generate", {"algorithm": 1}, 201),
        ("POST", "/certificates/self", None, "certificate.generate", {"algorithm": 1}, 201),
        ("DELETE", f"/jobs/{'a' * 26}", None, "jobs.cancel", {"job_id": "a" * 26}, 200),
    ],
)
async def test_a_body_and_a_path_make_one_request(
    sn1: httpx.AsyncClient,
    nats: ScriptedNats,
    method: str,
    path: str,
    body: Any,
    operation: str,
    params: Any,
    status: int,
) -> None:
    response = await sn1.request(method, SN1 + path, json=body)
    assert response.status_code == status
    (asked,) = nats.asked
    assert asked.subject == f"pylon.v1.identity.sn1.{operation}"
    assert json.loads(asked.body) == params


@pytest.mark.parametrize(
    ("body", "key", "message"),
    [
        ({}, "weights", "Field required"),
        ([], None, "Input should be an object"),
        (None, "weights", "Field required"),
        ({"weights": {}}, "weights", "No weights provided"),
        ({"weights": {HOTKEY: 0}}, "weights", "All weights are zero"),
        ({"weights": {HOTKEY: "0.5"}}, f"weights.{HOTKEY}", "valid number"),
        ({"weights": {HOTKEY: True}}, f"weights.{HOTKEY}", "valid number"),
        ({"weights": {HOTKEY: -1}}, f"weights.{HOTKEY}", "greater than or equal to 0"),
        ({"weights": {HOTKEY: 1}, "wights": 1}, "wights", "Extra inputs"),
        ({"weights": {HOTKEY: 1}, "mechanism_id": 3}, "mechanism_id", "in the path alone"),
    ],
)
async def test_invalid_fields_of_a_body_are_named(
    sn1: httpx.AsyncClient, nats: ScriptedNats, body: Any, key: str | None, message: str
) -> None:
    response = await sn1.put(f"{SN1}/mechanism/3/weights", json=body)
    problem = response.json()
    assert response.status_code == 400
    assert problem["code"] == "INVALID"
    assert problem["detail"] == f"Validation failed for PUT {SN1}/mechanism/3/weights"
    (item,) = problem["extra"]
    assert message in item["message"]
    assert (item.get("key"), item["source"]) == (key, "body")
    assert not nats.asked


@pytest.mark.parametrize("body", [b"{", b"nope", b"\xff", b'{"weights": NaN}', b"[" * 100_000])
async def test_a_body_that_is_no_json_is_malformed(
    sn1: httpx.AsyncClient, nats: ScriptedNats, body: bytes
) -> None:
    response = await sn1.put(f"{SN1}/weights", content=body)
    assert response.status_code == 400
    detail = response.json()["detail"]
    assert detail.startswith("JSON is malformed: ")
    assert detail.count("JSON is malformed") == 1
    assert not nats.asked


@pytest.mark.parametrize("mechanism", ["16", "-1", "03", "x"])
async def test_an_invalid_path_value_is_rejected_before_the_body_is_read(
    sn1: httpx.AsyncClient, nats: ScriptedNats, mechanism: str
) -> None:
    response = await sn1.put(f"{SN1}/mechanism/{mechanism}/weights", content=b"{")
    (item,) = response.json()["extra"]
    assert (response.status_code, item["source"]) == (400, "path")
    assert item["key"] == "mechanism_id"
    assert not nats.asked


async def test_a_strangers_body_is_not_read(sn1: httpx.AsyncClient) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        raise AssertionError("it was read")
        yield b""

    del sn1.headers["Authorization"]
    response = await sn1.put(f"{SN1}/weights", content=endless())
    assert response.status_code == 401


async def test_a_body_past_the_bound_is_refused(sn1: httpx.AsyncClient, nats: ScriptedNats) -> None:
    read_bytes = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal read_bytes
        while True:
            read_bytes += 65_536
            yield b" " * 65_536

    response = await sn1.put(f"{SN1}/weights", content=endless())
    assert response.status_code == 413
    assert response.json()["detail"] == f"A body has at most {MAX_REQUEST_BYTES} bytes."
    assert read_bytes <= MAX_REQUEST_BYTES + 3 * 65_536
    full = b'{"weights": {"%s": 1}}' % HOTKEY.encode()
    response = await sn1.put(f"{SN1}/weights", content=full.ljust(MAX_REQUEST_BYTES))
    assert response.status_code == 200
    assert len(nats.asked) == 1


async def test_a_body_that_does_not_come_is_not_waited_for(
    sn1: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge.request_body, "BODY_TIMEOUT_S", 0.0)

    async def stalled() -> AsyncGenerator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    response = await sn1.put(f"{SN1}/weights", content=stalled())
    assert response.status_code == 408


def test_the_document_describes_the_body_without_path_parameters() -> None:
    paths = bridge_app(ScriptedNats(), operations=WRITE_OPERATIONS).openapi()["paths"]
    route = paths[
        "/api/v1/identity/{identity_name}/subnet/{netuid}/mechanism/{mechanism_id}/weights"
    ]
    body = route["put"]["requestBody"]
    assert body["required"] is True
    schema = body["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"weights"}
    assert schema["additionalProperties"] is False


async def test_a_writes_key_goes_on_to_the_worker(
    sn1: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    for key in ("mine", None):
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"commitment": "0x01"}
        assert (await sn1.post(f"{SN1}/commitments", json=body, headers=headers)).is_success
        assert nats.asked[-1].headers.get("Idempotency-Key") == key
    for wrong in (b"", b" ", b" x", b"x ", b"x" * 256, b"x\ty", "\u00e9".encode()):
        response = await sn1.post(
            f"{SN1}/commitments", json={"commitment": "0x01"}, headers={b"Idempotency-Key": wrong}
        )
        assert response.status_code == 400
        assert response.json()["extra"][0]["key"] == "Idempotency-Key"
    assert len(nats.asked) == 2


async def test_a_hotkey_that_is_weighed_twice_is_refused(
    nats: ScriptedNats, sn1: httpx.AsyncClient
) -> None:
    body = f'{{"weights": {{"{HOTKEY}": 0.1, "{HOTKEY}": 0.9}}}}'
    response = await sn1.put(f"{SN1}/weights", content=body)
    assert response.status_code == 400
    assert [item["key"] for item in response.json()["extra"]] == [HOTKEY]


@pytest.mark.parametrize("coding", ["gzip", "zstd", "GZIP, br"])
async def test_a_compressed_body_is_refused_by_its_name(
    sn1: httpx.AsyncClient, nats: ScriptedNats, coding: str
) -> None:
    body = json.dumps({"weights": {HOTKEY: 0.5}}).encode()
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    response = await sn1.put(f"{SN1}/weights", content=gzip.compress(body), headers=headers)
    assert response.status_code == 415
    assert response.headers["Accept-Encoding"] == "identity"
    assert (response.json()["code"], response.json()["status_code"]) == ("INVALID", 415)
    assert coding.lower() in response.json()["detail"]
    assert not nats.asked
    plain = {"Content-Encoding": "identity"}
    assert (await sn1.put(f"{SN1}/weights", content=body, headers=plain)).status_code == 200
