"""The running product behaves as its OpenAPI document states.

Schemathesis generates valid and invalid requests from the document, with and without tokens: see
`openapi/schemathesis.toml`.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from tests.support.product.leaks import leaks_under
from tests.support.product.process_output import append_output
from tests.support.product.secret_texts import MARK, secret_of
from tests.support.product.self_hosted_product import (
    METRICS_TOKEN,
    OPEN_TOKEN,
    SelfHostedProduct,
    self_hosted_product,
)
from tests.support.product.sizes import sized

ROOT = Path(__file__).parents[3]
EXAMPLES = sized(usual=2, full=10)
"""Number of random requests for each operation, beside those that cover the document's limits."""
CONFIGURATION = Path(__file__).parent / "openapi" / "schemathesis.toml"


@pytest.fixture
async def product(tmp_path: Path) -> AsyncGenerator[SelfHostedProduct]:
    async with self_hosted_product(tmp_path) as product:
        yield product


@pytest.mark.slow
async def test_every_operation_behaves_as_documented(
    product: SelfHostedProduct, tmp_path: Path
) -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    operations = sum(len(methods) for methods in document["paths"].values())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
        *("run", f"{product.url}/schema/openapi.json", "--no-color"),
        f"--max-examples={EXAMPLES}",
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OPEN_TOKEN": OPEN_TOKEN,
            "IDENTITY_TOKEN": secret_of("sn1"),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert f"Tested: {operations}\n" in output.decode()

    # After many requests of all kinds, the metrics must not hold any part of a token.
    for url in (product.url, product.worker_url):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await client.get("/metrics")).status_code == 403
            wrong = {"Authorization": f"Bearer {OPEN_TOKEN}"}
            assert (await client.get("/metrics", headers=wrong)).status_code == 403
            page = await client.get(
                "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
            )
        assert page.status_code == 200
        assert MARK not in page.text
        append_output(tmp_path, page.content)


async def test_a_private_key_is_returned_to_its_caller_and_stored_nowhere(
    product: SelfHostedProduct, tmp_path: Path
) -> None:
    own = {"Authorization": f"Bearer {secret_of('sn1')}"}
    path = "/api/v1/identity/sn1/subnet/1/certificates/self"
    async with httpx.AsyncClient(base_url=product.url, trust_env=False, timeout=60) as client:
        response = await client.post(path, headers=own)
    assert response.status_code == 201
    keys = response.json()
    private, public = (
        keys[name].removeprefix("0x").encode() for name in ("private_key", "public_key")
    )

    def written(key: bytes) -> list[str]:
        return leaks_under(tmp_path, {key: "it", bytes.fromhex(key.decode()): "it"})

    assert written(private) == []
    # Public values of the chain are found: the search works.
    assert written(public)
