"""Reads that cost nothing while the block is still the same, and little where it is not."""

import gzip
import json
from collections.abc import AsyncGenerator

import httpx
import pytest
import zstandard

from bridge.compression import CompressionCache, ContentCoding, preferred_coding
from bridge.settings import BridgeSettings
from pylon_client.contract import headers as wire_headers
from tests.support.nats.scripted_nats import OPEN_TOKEN, SN1_TOKEN, ScriptedNats, bridge_client

LATEST = "/api/v1/subnet/1/block/latest/neurons"
AT_42 = "/api/v1/subnet/1/block/42/neurons"
SN1 = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
HASH = "0x" + "ab" * 32
TAG = f'"{HASH}"'
LARGE = json.dumps({"neurons": ["miner"] * 1000}).encode()
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
def nats() -> ScriptedNats:
    return ScriptedNats(
        answer=lambda _asked: LARGE,
        reply_headers={wire_headers.BLOCK_NUMBER: "42", wire_headers.BLOCK_HASH: HASH},
    )


@pytest.fixture
async def own_client(nats: ScriptedNats) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller with open access, of an app that remembers nothing."""
    async with bridge_client(nats) as client:
        client.headers["Authorization"] = f"Bearer {OPEN_TOKEN}"
        yield client


async def test_an_answer_is_tagged_with_its_block(open_client: httpx.AsyncClient) -> None:
    response = await open_client.get(LATEST, headers=PLAIN)
    assert response.headers["ETag"] == TAG
    assert response.headers["X-Pylon-Block-Number"] == "42"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in response.headers
    assert response.content == LARGE


@pytest.mark.parametrize(
    "held", [TAG, f"W/{TAG}", f'"0x12", {TAG}', f'"{HASH}-zstd"', f'W/"{HASH}-gzip"', "*"]
)
async def test_who_holds_the_block_gets_no_body(open_client: httpx.AsyncClient, held: str) -> None:
    response = await open_client.get(LATEST, headers={"If-None-Match": held, **PLAIN})
    assert response.status_code == 304
    assert response.content == b""
    assert "Content-Type" not in response.headers
    for name in ("ETag", "Cache-Control", "Vary", "X-Pylon-Block-Number"):
        assert name in response.headers


@pytest.mark.parametrize("held", ["", '"0x12"', HASH, f'"{HASH}-br"', f'"{HASH[:-1]}"'])
async def test_who_holds_another_gets_this_one(open_client: httpx.AsyncClient, held: str) -> None:
    response = await open_client.get(LATEST, headers={"If-None-Match": held, **PLAIN})
    assert (response.status_code, response.content) == (200, LARGE)


async def test_the_tag_of_changes_names_the_block_from_which_they_start(
    open_client: httpx.AsyncClient,
) -> None:
    tag = f'"{HASH}-since-40"'
    held = {"If-None-Match": tag, **PLAIN}
    response = await open_client.get(f"{LATEST}/changes?since=40", headers=PLAIN)
    assert (response.status_code, response.headers["ETag"]) == (200, tag)
    for since, status in ((40, 304), (41, 200)):
        response = await open_client.get(f"{LATEST}/changes?since={since}", headers=held)
        assert response.status_code == status
    response = await open_client.get(f"{LATEST}/changes?since=40", headers={"If-None-Match": TAG})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("path", "token", "control"),
    [
        (LATEST, OPEN_TOKEN, "private, no-cache"),
        (AT_42, OPEN_TOKEN, "private, max-age=60"),
        (AT_42.replace("42", "41"), OPEN_TOKEN, "private, no-cache"),
        (SN1, SN1_TOKEN, "private, no-cache"),
    ],
)
async def test_how_long_an_answer_holds(
    client: httpx.AsyncClient, path: str, token: str, control: str
) -> None:
    response = await client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert response.headers["Cache-Control"] == control


async def test_responses_without_a_token_are_public(
    nats: ScriptedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", "")
    async with bridge_client(nats, BridgeSettings()) as client:
        assert (await client.get(LATEST)).headers["Cache-Control"] == "public, no-cache"
        assert (await client.get(AT_42)).headers["Cache-Control"] == "public, max-age=60"


async def test_a_response_without_a_block_is_not_cached(
    open_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    nats.reply_headers = {}
    response = await open_client.get(LATEST, headers={"If-None-Match": "*"})
    assert (response.status_code, response.content) == (200, LARGE)
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


@pytest.mark.parametrize("coding", list(ContentCoding))
async def test_a_body_has_the_requested_coding(
    own_client: httpx.AsyncClient, coding: ContentCoding
) -> None:
    async with own_client.stream("GET", LATEST, headers={"Accept-Encoding": coding}) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers["Content-Encoding"] == coding
    assert response.headers["ETag"] == f'"{HASH}-{coding}"'
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["Content-Length"] == str(len(raw))
    assert len(raw) < len(LARGE) / 10
    unpacked = gzip.decompress(raw) if coding is ContentCoding.GZIP else zstandard.decompress(raw)
    assert unpacked == LARGE


async def test_a_small_body_comes_as_it_is(
    own_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    nats.answer = lambda _asked: b"{}"
    response = await own_client.get(LATEST, headers={"Accept-Encoding": "zstd"})
    assert "Content-Encoding" not in response.headers
    assert response.headers["ETag"] == TAG


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", ContentCoding.GZIP),
        ("GZIP", ContentCoding.GZIP),
        ("gzip, deflate, br, zstd", ContentCoding.ZSTD),
        ("gzip;q=1.0, zstd;q=0.5", ContentCoding.GZIP),
        ("zstd;q=0, gzip", ContentCoding.GZIP),
        ("zstd; q=0 ,gzip;q=0", None),
        ("*", ContentCoding.ZSTD),
        ("*;q=0.1, zstd;q=0", ContentCoding.GZIP),
        ("*;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=many", None),
        (";;,=,", None),
    ],
)
def test_the_best_coding_is_the_callers_choice(accept: str, coding: ContentCoding | None) -> None:
    assert preferred_coding(accept) is coding


def test_a_body_is_compressed_once_and_forgotten_in_time() -> None:
    bodies = CompressionCache(max_bytes=3 * len(gzip.compress(LARGE, mtime=0)))
    first = bodies.get(1, LARGE, ContentCoding.GZIP)
    assert all(bodies.get(1, LARGE, ContentCoding.GZIP) is first for _ in range(100))
    assert bodies.compression_count == 1
    bodies.get(1, LARGE, ContentCoding.ZSTD)
    assert bodies.compression_count == 2
    for key in range(2, 9):
        bodies.get(1, LARGE, ContentCoding.GZIP)
        bodies.get(key, LARGE, ContentCoding.GZIP)
    assert bodies.compression_count == 9
    bodies.get(2, LARGE, ContentCoding.GZIP)
    assert bodies.compression_count == 10


async def test_two_questions_about_one_block_are_not_mixed_up(
    own_client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    nats.answer = lambda asked: asked.subject.encode() * 100
    for netuid in (1, 2, 1):
        path = f"/api/v1/subnet/{netuid}/block/latest/neurons"
        response = await own_client.get(path, headers={"Accept-Encoding": "gzip"})
        assert response.text.startswith(f"pylon.v1.open.{netuid}.neurons")
