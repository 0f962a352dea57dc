"""Probes and metrics of a worker process over HTTP."""

import contextlib
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from nats.js.client import JetStreamContext
from nats.js.errors import BadRequestError, NotFoundError
from prometheus_client.parser import text_string_to_metric_families

from pylon_client.contract.topology import EVENTS
from pylon_devnet import Devnet, DevnetOptions
from tests.support.nats.nats_server import NatsServer
from tests.support.product.eventually import comes_true
from tests.support.product.running_worker import connected
from tests.support.product.secret_texts import secret_of
from tests.support.product.worker_process import READY, WorkerProcess, worker_process

TOKEN = secret_of("metrics")


@dataclass
class Watched:
    """A worker and a caller of its port."""

    worker: WorkerProcess
    http: httpx.AsyncClient

    async def status(self, path: str) -> int:
        return (await self.http.get(path)).status_code

    async def becomes(self, path: str, status: int) -> None:
        async def has() -> bool:
            return await self.status(path) == status

        await comes_true(has)

    async def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        text = (await self.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def total(self, name: str, **labels: str) -> float:
        expected = set(labels.items())
        return sum(
            value for (of, sample_labels), value in (await self.samples()).items()
            if of == name and expected <= sample_labels
        )  # fmt: skip


@asynccontextmanager
async def watched(
    folder: Path, nats_url: str, network: str, **more: str
) -> AsyncGenerator[Watched]:
    settings = {"PYLON_HEALTH_PORT": "0", "PYLON_METRICS_TOKEN": TOKEN, **more}
    async with worker_process(folder, nats_url, network, **settings) as worker:
        await worker.logs("Health and metrics on http")
        found = re.search(r"Health and metrics on (http://\S+)", worker.log)
        assert found is not None
        async with httpx.AsyncClient(base_url=found[1], trust_env=False, timeout=30) as http:
            yield Watched(worker, http)


async def test_a_worker_is_live_from_the_start_and_ready_while_it_can_work(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
    ):
        await server.stop()
        # Five blocks, after which a head is too old, are 60 s by the chain's own pace.
        pace = {"PYLON_BLOCK_DURATION_SECONDS": "2"}
        async with watched(tmp_path, server.url, devnet.url, **pace) as seen:
            assert await seen.status("/livez") == 200
            not_yet = await seen.http.get("/readyz")
            assert not_yet.status_code == 503
            assert "no connection to NATS" in not_yet.text

            await server.start()
            await seen.becomes("/readyz", 200)

            await server.stop()
            await seen.becomes("/readyz", 503)
            assert await seen.status("/livez") == 200
            await server.start()
            await seen.becomes("/readyz", 200)

            devnet.pause()
            await seen.becomes("/readyz", 503)
            assert "the chain's head is" in (await seen.http.get("/readyz")).text
            assert await seen.status("/livez") == 200

            assert await seen.status("/etc/passwd") == 404
            seen.worker.process.send_signal(signal.SIGTERM)
            assert await seen.worker.ends() == 0


async def test_metrics_contain_the_chain_the_reads_and_nats(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
    ):
        secretive = devnet.url + "/v1/an-api-key?token=a-secret"
        async with (
            watched(tmp_path, server.url, secretive) as seen,
            connected(server.url) as connection,
        ):
            await seen.worker.logs(READY)
            assert await seen.status("/metrics") == 403
            await comes_true(lambda: _publishes(seen))
            for _ in range(3):
                await connection.request("pylon.v1.open.1.commitments.latest", timeout_s=30)
            await connection.request("pylon.v1.open.1.neurons.latest", timeout_s=30)

            place = devnet.url.rstrip("/")
            neurons = {"operation": "neurons", "status": "success", "netuid": "1", "uri": place}
            name = "pylon_bittensor_operation_duration_seconds_count"
            assert await seen.total(name, **neurons, hotkey="") > 0
            served = {"scope": "open", "operation": "commitments.latest"}
            assert await seen.total("pylon_service_requests_total", **served) == 3
            await comes_true(partial(_is_positive, seen, "pylon_chain_head_block"))
            assert await seen.total("pylon_read_cache_misses_total") > 0
            assert await seen.total("pylon_nats_connected") == 1
            assert await seen.total("process_resident_memory_bytes") > 0

            await server.restart()

            async def reconnected() -> bool:
                return await seen.total("pylon_nats_reconnects_total") == 2  # both connections

            await comes_true(reconnected)
            for secret in ("an-api-key", "a-secret", TOKEN):
                assert secret not in str(await seen.samples())
                assert secret not in seen.worker.log


async def test_probes_are_served_on_a_unix_socket(tmp_path: Path) -> None:
    socket = tmp_path / "worker.sock"
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        watched(tmp_path, server.url, devnet.url, PYLON_WORKER_HEALTH_SOCKET=str(socket)) as seen,
    ):
        await seen.worker.logs(READY)
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as http:
            assert (await http.get("/livez")).status_code == 200
            assert (await http.get("/metrics")).status_code == 403
            page = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            assert 'pylon_build_info{component="worker",role="all"' in page.text


async def test_a_socket_that_cannot_be_made_ends_it_with_the_path(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "worker.sock"
    async with worker_process(
        tmp_path,
        "nats://127.0.0.1:1",
        "ws://127.0.0.1:1",
        PYLON_WORKER_HEALTH_SOCKET=str(nowhere),
    ) as worker:
        assert await worker.ends() == 1
        assert f"pylon worker: it cannot listen on {nowhere}: " in worker.log


async def _is_positive(seen: Watched, name: str) -> bool:
    return await seen.total(name) > 0


async def _publishes(seen: Watched) -> bool:
    return await seen.total("pylon_publisher_leader") == 1


async def test_it_is_not_ready_while_blocks_cannot_be_published(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path) as server,
        Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet,
        watched(tmp_path, server.url, devnet.url, PYLON_BLOCK_DURATION_SECONDS="2") as seen,
        connected(server.url) as connection,
    ):
        streams = connection.nats.jetstream()
        await seen.becomes("/readyz", 200)
        await take_subjects(streams, "INTRUDER")

        async def says_both() -> bool:
            text = (await seen.http.get("/readyz")).text
            return "no block was published" in text and "overlap" in text

        await comes_true(says_both)
        assert await seen.status("/readyz") == 503
        assert await seen.status("/livez") == 200

        # Several checks later it was still logged once.
        head = devnet.best_number
        await comes_true(lambda: _is_past(devnet, head + 10))
        assert seen.worker.log.count("subjects overlap with an existing stream") == 1

        await streams.delete_stream("INTRUDER")
        await seen.becomes("/readyz", 200)
        await seen.worker.logs(f"The stream {EVENTS.name} was missing and was created again")


async def take_subjects(streams: JetStreamContext, name: str) -> None:
    """Put another stream in the place of the event stream, before a worker makes that again."""
    while True:
        with contextlib.suppress(NotFoundError):
            await streams.delete_stream(EVENTS.name)
        with contextlib.suppress(BadRequestError):
            await streams.add_stream(name=name, subjects=list(EVENTS.subjects))  # pyright: ignore[reportUnknownMemberType] -- the library's **params
            return


async def _is_past(devnet: Devnet, number: int) -> bool:
    return devnet.best_number > number
