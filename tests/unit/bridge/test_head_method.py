"""HEAD is GET without a body."""

import httpx
import pytest

from pylon_client.contract import headers
from tests.support.nats.scripted_nats import OPEN_TOKEN, SN1_TOKEN, ScriptedNats

NEURONS = "/api/v1/subnet/1/block/latest/neurons"
JOB = f"/api/v1/identity/sn1/subnet/1/jobs/{'a' * 26}"
OPEN = {"Authorization": f"Bearer {OPEN_TOKEN}"}
SN1 = {"Authorization": f"Bearer {SN1_TOKEN}"}
OF_THE_REQUEST = {"x-request-id"}


def compared(response: httpx.Response) -> dict[str, str]:
    return {name: text for name, text in response.headers.items() if name not in OF_THE_REQUEST}


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/health", {}, 200),
        ("/health/ready", {}, 200),
        ("/api/v1/identities", {}, 200),
        ("/schema/swagger", {}, 200),
        ("/schema", {}, 307),
        ("/schema/openapi.json", {}, 200),
        ("/metrics", {}, 403),
        ("/nothing", {}, 404),
        (NEURONS, OPEN, 200),
        (NEURONS, {**OPEN, "If-None-Match": f'"0x{7:064x}"'}, 304),
        (NEURONS, {}, 401),
        (JOB, SN1, 200),
        ("/api/v1/login/identity/sn1", {}, 405),
    ],
)
async def test_it_answers_as_get_does_without_the_body(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str, sent: dict[str, str], status: int
) -> None:
    nats.reply_headers = {headers.BLOCK_HASH: f"0x{7:064x}", headers.BLOCK_NUMBER: "7"}
    head = await client.head(path, headers=sent)
    get = await client.get(path, headers=sent)
    assert (head.status_code, get.status_code) == (status, status)
    assert head.content == b""
    assert compared(head) == compared(get)
    if get.content:
        assert int(head.headers["Content-Length"]) == len(get.content)


async def test_head_of_a_stream_returns_the_headers(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    response = await client.head("/api/v1/block/stream", headers=OPEN)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert (await client.head("/api/v1/block/stream")).status_code == 401
    response = await client.head(f"{JOB}/stream", headers=SN1)
    assert (response.status_code, response.content) == (200, b"")
    assert not nats.callbacks, "nobody subscribes any more"


async def test_it_is_no_operation_of_the_document(client: httpx.AsyncClient) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    assert not any("head" in methods for methods in document["paths"].values())
