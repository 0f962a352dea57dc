"""`pylon up` on a full disk: its probes, metrics, answers to writes, and `pylon check`."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pylon.cli.check.stream_check import MIN_STALE_S
from pylon_client.contract.topology import EVENTS
from pylon_devnet.population import hotkey
from tests.support.nats.small_disk import small_disk
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.pylon_command import pylon_command
from tests.support.product.secret_texts import secret_of
from tests.support.product.self_hosted_product import (
    METRICS_TOKEN,
    SelfHostedProduct,
    self_hosted_product,
)


@dataclass
class Operator:
    """Reads a product's probes, and puts weights."""

    product: SelfHostedProduct
    http: httpx.AsyncClient
    puts: int = 0

    async def ready(self) -> httpx.Response:
        return await self.http.get(f"{self.product.worker_url}/readyz")

    async def is_ready(self) -> bool:
        return (await self.ready()).status_code == 200

    async def metric(self, name: str, **labels: str) -> float:
        url = f"{self.product.worker_url}/metrics"
        text = (await self.http.get(url, headers=_bearer(METRICS_TOKEN))).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def put(self) -> httpx.Response:
        """Put weights that differ from earlier ones."""
        self.puts += 1
        weights = {hotkey(2, 1): 1.0, hotkey(2, 2): 1.0 / (1 + self.puts)}
        url = f"{self.product.url}/api/v1/identity/sn2/subnet/2/weights"
        return await self.http.put(
            url, json={"weights": weights}, headers=_bearer(secret_of("sn2"))
        )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.slow
async def test_a_full_disk_is_reported_everywhere_and_ends_with_the_first_space(
    tmp_path: Path,
) -> None:
    (folder := tmp_path / "product").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        home = disk.path / "home"
        async with (
            self_hosted_product(folder, PYLON_HOME=str(home)) as product,
            httpx.AsyncClient(trust_env=False, timeout=HANGS_AFTER_S) as http,
        ):
            operator = Operator(product, http)
            await comes_true(operator.is_ready)
            assert (await operator.put()).status_code == 200
            assert await operator.metric("pylon_last_published_block") > 0

            disk.fill()

            async def says_so() -> bool:
                answer = await operator.ready()
                return answer.status_code == 503 and "has stored nothing since" in answer.text

            await comes_true(says_so)
            assert "free space on the disks of the NATS servers" in (await operator.ready()).text

            # The last files of the streams may have room for a few more jobs.
            async def is_refused() -> bool:
                answer = await operator.put()
                if answer.status_code == 200:
                    return False
                assert answer.status_code == 503, answer.text
                body = answer.json()
                assert body["code"] == "NATS_UNAVAILABLE"
                assert "the disk of its server may be full" in body["detail"]
                return True

            await comes_true(is_refused)
            stopped_at = await operator.metric("pylon_last_published_block")
            assert await operator.metric("pylon_chain_head_block") > stopped_at

            async def is_old() -> bool:
                age_s = await operator.metric("pylon_last_published_age_seconds")
                return age_s > MIN_STALE_S + 1

            await comes_true(is_old)
            failures = "pylon_jetstream_write_failures_total"
            assert await operator.metric(failures, stream=EVENTS.name) > 0

            variables = {"PYLON_HOME": str(home), "PYLON_BLOCK_DURATION_SECONDS": "0.25"}
            checked = await pylon_command(folder, variables, "check")
            assert checked.code == 1
            lines = checked.out.splitlines()
            (of_disk,) = [line for line in lines if line.startswith("FAIL  disk ")]
            assert f"0.0 GiB free in {home}/nats/jetstream, where NATS keeps" in of_disk
            (published,) = [line for line in lines if line[6:].startswith("published blocks")]
            assert not published.startswith("ok"), published

            disk.free()
            await comes_true(operator.is_ready)
            assert await operator.metric("pylon_last_published_block") > stopped_at
            assert (await operator.put()).status_code == 200
    output = (folder / "output").read_text()
    assert output.count("cannot store messages: 0 MiB are free") == 1
    assert "restarting the embedded NATS" in output
