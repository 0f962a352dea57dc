"""Probes and metrics of a worker, over a Unix socket."""

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from pydantic import SecretStr

from pylon.worker import probes
from pylon.worker.backends import WorkerError
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.probes import HealthServer, serve_health
from pylon.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from pylon.worker.health import WorkerHealth

TOKEN = "metrics-token"


@dataclass(frozen=True)
class Response:
    """A response; the names and values of its headers are in lower case."""

    status_code: int
    headers: dict[str, str]
    text: str


class FakeHealth:
    """Problems and warnings that a test sets."""

    def __init__(self) -> None:
        self.not_alive: list[str] = []
        self.not_ready: list[str] = []
        self.noted: list[str] = []

    def liveness_problems(self) -> list[str]:
        return self.not_alive

    def readiness_problems(self) -> list[str]:
        return self.not_ready

    def warnings(self) -> list[str]:
        return self.noted


@asynccontextmanager
async def serving(
    path: Path, health: FakeHealth, token: str = TOKEN
) -> AsyncGenerator[Callable[..., Any]]:
    """Yield a function that requests a path."""
    server = HealthServer(
        path,
        health=cast("WorkerHealth", health),
        metrics=WorkerMetrics(),
        metrics_token=SecretStr(token),
    )
    async with server:

        async def get(page: str, authorization: str | None = None) -> Response:
            sent = "" if authorization is None else f"Authorization: {authorization}\r\n"
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(f"GET {page} HTTP/1.1\r\nHost: worker\r\n{sent}\r\n".encode())
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            text = (await reader.readexactly(int(headers["content-length"]))).decode()
            writer.close()
            await writer.wait_closed()
            return Response(int(status.split()[1]), headers, text)

        yield get


async def test_probes_name_each_problem(tmp_path: Path) -> None:
    health = FakeHealth()
    async with serving(tmp_path / "s", health) as get:
        for page in ("/livez", "/readyz"):
            response = await get(page)
            assert (response.status_code, response.text) == (200, "ok\n")
            assert response.headers["connection"] == "close"
            assert response.headers["cache-control"] == "no-store"
        health.noted = ["a signer is missing"]
        assert (await get("/readyz")).text == "ok\na signer is missing\n"
        health.not_ready = ["no connection to NATS", "no head"]
        response = await get("/readyz")
        assert response.status_code == 503
        assert response.text == "no connection to NATS\nno head\n"
        assert (await get("/livez")).status_code == 200
        health.not_alive = ["jobs has ended"]
        response = await get("/livez")
        assert (response.status_code, response.text) == (503, "jobs has ended\n")
        assert (await get("/livez/")).status_code == 404


async def test_metrics_require_their_token(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", FakeHealth()) as get:
        for wrong in (None, "Bearer wrong"):
            assert (await get("/metrics", wrong)).status_code == 403
        response = await get("/metrics", f"Bearer {TOKEN}")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "pylon_skipped_blocks_total" in response.text


async def test_without_a_configured_token_the_metrics_are_closed(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", FakeHealth(), token="") as get:
        assert (await get("/metrics", "Bearer ")).status_code == 403


async def test_a_socket_of_an_earlier_process_is_replaced_and_removed_at_the_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as earlier:
        earlier.bind(str(path))
    async with serving(path, FakeHealth()) as get:
        assert (await get("/livez")).status_code == 200
    assert not path.exists()


async def test_a_file_at_the_path_of_the_socket_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("of someone else")
    settings = WorkerSettings(worker_health_socket=path)
    async with AsyncExitStack() as stack:
        with pytest.raises(WorkerError, match=f"cannot listen on {path}: "):
            await serve_health(stack, settings, cast("Any", FakeHealth()), WorkerMetrics())
    assert path.read_text() == "of someone else"


async def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(_host: str | Path, _port: int) -> NoReturn:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(probes, "_listen", listen)
    settings = WorkerSettings(health_host="127.0.0.1", health_port=81)
    async with AsyncExitStack() as stack:
        with pytest.raises(WorkerError, match=r"on 127\.0\.0\.1 port 81: Address already in use"):
            await serve_health(stack, settings, cast("Any", FakeHealth()), WorkerMetrics())


async def test_nothing_is_served_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def listen(_host: str | Path, _port: int) -> NoReturn:
        raise AssertionError("it must not listen")

    monkeypatch.setattr(probes, "_listen", listen)
    async with AsyncExitStack() as stack:
        await serve_health(stack, WorkerSettings(), cast("Any", FakeHealth()), WorkerMetrics())
