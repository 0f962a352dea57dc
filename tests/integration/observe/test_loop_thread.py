"""Probes of an event loop that is blocked by code that neither returns nor fails."""

import asyncio
import logging
import re
import threading
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from pylon.blocks.last_published import LastPublished
from pylon.blocks.snapshots import Snapshots
from pylon.jetstream.write_health import WriteHealth
from pylon.worker.health import WorkerHealth
from pylon.worker.loop_thread import LoopThread
from pylon.worker.metrics import WorkerMetrics
from pylon.worker.probes import HealthServer
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.running_worker import running, worker_settings

BLOCKED = "the loop of requests has been blocked for"


def health_of(thread: LoopThread | None = None) -> WorkerHealth:
    health = WorkerHealth(
        Snapshots(max_silence_s=60),
        LastPublished(),
        WriteHealth(),
        head_max_age_s=60,
        head_max_lag_blocks=5,
    )
    health.request_loop = thread
    return health


def server_of(health: WorkerHealth) -> HealthServer:
    return HealthServer(
        "127.0.0.1", 0, health=health, metrics=WorkerMetrics(), metrics_token=SecretStr("")
    )


async def test_the_liveness_probe_fails_while_the_request_loop_is_blocked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    async with (
        LoopThread("requests", blocked_after_s=1.2, check_interval_s=0.6) as thread,
        server_of(health_of(thread)) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as http,
    ):

        async def livez() -> httpx.Response:
            return await http.get("/livez", timeout=HANGS_AFTER_S)

        async def fails() -> bool:
            return (await livez()).status_code == 503

        async def lives() -> bool:
            return (await livez()).status_code == 200

        await thread.run(asyncio.sleep(0))
        assert await lives()
        thread.call_soon(_blocks, release)
        try:
            await comes_true(fails)
            assert BLOCKED in (await livez()).text
        finally:
            release.set()
        await comes_true(lives)
    # The log names the line that blocks it, once.
    assert caplog.text.count("has been blocked for") == 1
    assert "in _blocks" in caplog.text


def _blocks(release: threading.Event) -> None:
    release.wait(HANGS_AFTER_S)


async def test_a_worker_with_a_blocked_request_loop_is_not_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    threads: list[LoopThread] = []

    def thread_of(name: str) -> LoopThread:
        threads.append(LoopThread(name, blocked_after_s=3.0))
        return threads[0]

    monkeypatch.setattr("pylon.worker.main.LoopThread", thread_of)
    release = threading.Event()
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
    ):
        settings = worker_settings(server.url, devnet.url).model_copy(update={"health_port": 0})
        with caplog.at_level(logging.INFO):
            async with running(settings), httpx.AsyncClient(trust_env=False) as http:
                found = re.search(r"Health and metrics on (http://\S+)", caplog.text)
                assert found is not None

                async def livez() -> httpx.Response:
                    return await http.get(f"{found[1]}/livez", timeout=HANGS_AFTER_S)

                async def fails() -> bool:
                    return (await livez()).status_code == 503

                assert (await livez()).status_code == 200
                threads[0].call_soon(_blocks, release)
                try:
                    await comes_true(fails)
                    assert BLOCKED in (await livez()).text
                finally:
                    release.set()


async def test_a_busy_request_loop_is_live() -> None:
    async with LoopThread("requests", blocked_after_s=1.5, check_interval_s=0.5) as thread:
        stop = threading.Event()

        async def work() -> int:
            turns = 0
            while not stop.is_set():
                turns += 1
                await asyncio.sleep(0)  # there is always a next piece of work
            return turns

        working = asyncio.create_task(thread.run(work()))
        for _ in range(4):
            await asyncio.sleep(0.5)
            assert thread.problems == []
        stop.set()
        assert await working > 0


async def test_a_probe_of_a_blocked_main_loop_gets_no_answer() -> None:
    release = threading.Event()
    # The worker's main loop, on a thread here, so that the test is not blocked with it.
    async with LoopThread("main") as main:
        server = server_of(health_of())
        await main.run(server.__aenter__())
        url = f"http://127.0.0.1:{server.port}/livez"
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(url, timeout=HANGS_AFTER_S)).status_code == 200
            main.call_soon(_blocks, release)
            try:
                with pytest.raises(httpx.TimeoutException):
                    await http.get(url, timeout=1.0)
            finally:
                release.set()
            assert (await http.get(url, timeout=HANGS_AFTER_S)).status_code == 200
        await main.run(server.__aexit__(None, None, None))
