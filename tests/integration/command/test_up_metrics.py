"""One `/metrics` of `pylon up` has the metrics of the bridge and of its worker."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.product.eventually import comes_true
from tests.support.product.product import POLL_S, Product
from tests.support.product.secret_texts import secret_of

TOKEN = secret_of("metrics")
# As the product's readme writes it.
ENV_FILE = f"PYLON_METRICS_TOKEN={TOKEN}\nPROMETHEUS_DISABLE_CREATED_SERIES=True\n"
OF_BOTH = {
    *("pylon_requests", "pylon_request_duration_seconds", "pylon_requests_in_progress"),
    *("pylon_bittensor_operation_duration_seconds", "pylon_bittensor_fallback"),
    *("pylon_apply_weights_job_duration_seconds", "pylon_apply_weights_attempt_duration_seconds"),
    *("process_cpu_seconds", "python_info", "python_gc_objects_collected", "process_open_fds"),
}


@pytest.fixture
async def product(tmp_path: Path) -> AsyncGenerator[Product]:
    (tmp_path / ".env").write_text(ENV_FILE)
    async with Product(tmp_path) as product:
        yield product


async def page(product: Product) -> str:
    response = await product.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    return response.text


def values(text: str, name: str) -> dict[str, float]:
    """The values of a metric by its label `component`, which is empty where it has none."""
    return {
        sample.labels.get("component", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


async def test_the_bridge_shows_the_worker_too_while_it_runs(product: Product) -> None:
    text = await page(product)
    families = [family.name for family in text_string_to_metric_families(text)]
    assert sorted(families) == sorted(set(families))
    assert set(families) >= OF_BOTH
    first_start = values(text, "process_start_time_seconds")["worker"]
    assert values(text, "pylon_bridge_worker_up") == {"": 1}
    assert values(text, "pylon_nats_connected") == {"bridge": 1, "worker": 1}
    assert set(values(text, "process_resident_memory_bytes")) == {"bridge", "worker"}
    # Of both processes, from `.env` alone.
    assert "_created" not in text

    # A worker that hangs takes only its own metrics away.
    worker = product.child("pylon worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        text = await page(product)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert values(text, "pylon_bridge_worker_up") == {"": 0}
    assert set(values(text, "pylon_build_info")) == {"bridge"}

    # Nor does one that ends, and the next one is found.
    os.kill(worker, signal.SIGKILL)

    async def another_is_shown() -> bool:
        await asyncio.sleep(POLL_S)
        started = values(await page(product), "process_start_time_seconds")
        return started.get("worker", first_start) != first_start

    await comes_true(another_is_shown)
    assert values(await page(product), "pylon_bridge_worker_up") == {"": 1}
