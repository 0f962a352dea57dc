"""The bridge's page of metrics with those of the worker on its machine."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from bridge.http_metrics import BridgeMetrics
from bridge.metrics_page import MetricsPage, merge_pages
from pylon.worker.metrics import WorkerMetrics
from tests.support.product.eventually import eventually
from tests.support.product.secret_texts import secret_of

TOKEN = secret_of("metrics")


@asynccontextmanager
async def worker_at(socket: Path, respond: Callable[[bytes], bytes | None]) -> AsyncGenerator[None]:
    """Serve at a Unix socket what a function says; None leaves the caller without a response."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):  # the caller did not wait
            response = respond(await reader.readuntil(b"\r\n\r\n"))
            if response is not None:
                writer.write(response)
                writer.close()

    async with await asyncio.start_unix_server(serve, str(socket)):
        yield
        # A caller that does not wait may be gone before it is served.
        await eventually(lambda: writers)
        for writer in writers:
            writer.close()
            await writer.wait_closed()


def page_of_a_worker(status: str = "200 OK", *, less: int = 0) -> bytes:
    text = WorkerMetrics().text()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(text) + less}\r\n\r\n"
    return head.encode() + text


def families_of(text: str) -> Counter[str]:
    return Counter(family.name for family in text_string_to_metric_families(text))


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


async def test_both_are_on_one_page(tmp_path: Path) -> None:
    requests: list[bytes] = []

    def respond(request: bytes) -> bytes:
        requests.append(request)
        return page_of_a_worker()

    socket = tmp_path / "worker.sock"
    page = MetricsPage(BridgeMetrics(), socket, SecretStr(TOKEN))
    async with worker_at(socket, respond):
        text = (await page.text()).decode()
    assert f"Authorization: Bearer {TOKEN}\r\n".encode() in requests[0]
    assert value(text, "pylon_bridge_worker_up") == 1
    for component in ("bridge", "worker"):
        for name in ("process_resident_memory_bytes", "pylon_nats_connected", "pylon_build_info"):
            assert value(text, name, component=component) is not None
    assert value(text, "pylon_skipped_blocks_total") == 0
    families = families_of(text)
    assert "pylon_requests" in families
    assert set(families.values()) == {1}


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"nonsense",
        page_of_a_worker("403 Forbidden"),
        page_of_a_worker(less=1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff",
        None,
    ],
    ids=["nothing", "nonsense", "refused", "cut short", "not text", "no response"],
)
async def test_without_the_workers_the_bridges_own_remain(
    tmp_path: Path, response: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if response is None:
        monkeypatch.setattr("bridge.metrics_page.WORKER_TIMEOUT_S", 0.01)
    socket = tmp_path / "worker.sock"
    page = MetricsPage(BridgeMetrics(), socket, SecretStr(TOKEN))
    async with worker_at(socket, lambda _: response):
        text = (await page.text()).decode()
    assert value(text, "pylon_bridge_worker_up") == 0
    assert value(text, "pylon_build_info", component="bridge") == 1
    assert value(text, "pylon_build_info", component="worker") is None


async def test_a_worker_that_comes_back_is_shown_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    socket = tmp_path / "worker.sock"
    page = MetricsPage(BridgeMetrics(), socket, SecretStr(TOKEN))
    for _ in range(3):
        assert value((await page.text()).decode(), "pylon_bridge_worker_up") == 0
    async with worker_at(socket, lambda _: page_of_a_worker()):
        assert value((await page.text()).decode(), "pylon_bridge_worker_up") == 1
    assert len(caplog.records) == 1
    assert TOKEN not in caplog.text


async def test_without_a_socket_no_worker_is_looked_for() -> None:
    text = (await MetricsPage(BridgeMetrics(), None, SecretStr(TOKEN)).text()).decode()
    assert value(text, "pylon_bridge_worker_up") is None
    assert value(text, "pylon_build_info", component="bridge") == 1


def test_pages_are_merged_by_family() -> None:
    first = '# HELP a The a.\n# TYPE a gauge\na{c="1"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n'
    second = '# HELP a The a.\n# TYPE a gauge\na{c="2",d="\u2028# HELP"} 3\n'
    assert merge_pages(first, second) == (
        '# HELP a The a.\n# TYPE a gauge\na{c="1"} 1\na{c="2",d="\u2028# HELP"} 3\n'
        "# HELP b B.\n# TYPE b gauge\nb 2\n"
    )
    assert merge_pages(first) == first
