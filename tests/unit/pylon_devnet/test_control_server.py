import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from pylon_devnet.control_server import ControlServer


class Recorder:
    """Controls that record their calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.failures: list[Exception] = []
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    def echo(self, blocks: int, text: str = "") -> dict[str, Any]:
        self.calls.append({"blocks": blocks, "text": text})
        return {"blocks": blocks, "text": text}

    async def wait(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def break_database(self) -> None:
        raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture
async def port(recorder: Recorder) -> AsyncGenerator[int]:
    server = ControlServer(
        {
            ("POST", "/echo"): recorder.echo,
            ("POST", "/wait"): recorder.wait,
            ("POST", "/break"): recorder.break_database,
        },
        recorder.failures.append,
    )
    yield await server.start(0)
    await asyncio.wait_for(server.stop(), 10)


@pytest_asyncio.fixture
async def http(port: int) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


async def test_the_index_lists_all_controls(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/")).json()
    assert listed == ["GET /", "POST /echo", "POST /wait", "POST /break"]


async def test_parameters_come_from_the_query_and_the_body(
    http: httpx.AsyncClient, recorder: Recorder
) -> None:
    response = await http.post("/echo", params={"blocks": "3"}, json={"text": "a"})
    assert response.json() == {"blocks": 3, "text": "a"}
    assert recorder.calls == [{"blocks": 3, "text": "a"}]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/nothing", b"", 404),
        ("/echo", b"", 400),
        ("/echo?blocks=many", b"", 400),
        ("/echo", b'{"blocks": 1, "more": 2}', 400),
        ("/echo", b"{", 400),
    ],
)
async def test_invalid_requests_are_rejected_with_a_detail(
    http: httpx.AsyncClient, path: str, body: bytes, status: int
) -> None:
    response = await http.post(path, content=body)
    assert response.status_code == status
    assert json.loads(response.content)["detail"]


async def test_a_body_above_the_limit_is_rejected(http: httpx.AsyncClient) -> None:
    response = await http.post("/echo", content=bytes((4 << 20) + 1))
    assert response.status_code == 413


async def test_an_error_of_the_database_stops_the_devnet(
    http: httpx.AsyncClient, recorder: Recorder
) -> None:
    response = await http.post("/break")
    assert response.status_code == 507
    assert "disk I/O error" in response.json()["detail"]
    assert [str(error) for error in recorder.failures] == ["disk I/O error"]


async def test_a_control_is_cancelled_when_its_client_disconnects(
    port: int, recorder: Recorder
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    await asyncio.wait_for(recorder.waiting.wait(), 10)
    writer.close()
    await asyncio.wait_for(recorder.cancelled.wait(), 10)


async def test_requests_in_progress_are_cancelled_at_the_end(recorder: Recorder) -> None:
    server = ControlServer({("POST", "/wait"): recorder.wait}, recorder.failures.append)
    port = await server.start(0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    await asyncio.wait_for(recorder.waiting.wait(), 10)
    await asyncio.wait_for(server.stop(), 10)
    assert recorder.cancelled.is_set()
    writer.close()
