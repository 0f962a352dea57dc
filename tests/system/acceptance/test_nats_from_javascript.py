"""Run the JavaScript of docs/nats.md with the npm client against the running product.

The client is installed from npm's registry into a folder of the test. Without Node.js, npm or the
registry, the test is skipped with that reason.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.product import Product

ROOT = Path(__file__).parents[3]
PACKAGE = "@nats-io/transport-node@3.0.2"
"""Of version 3 as the page says; this one runs from Node.js 18 on."""
WITHOUT_PREFIX = """
import { connect } from "@nats-io/transport-node";
const connection = await connect({ servers: "nats://localhost:4222" });
try {
  await connection.request("pylon.v1.open.chain.block.latest", "{}", { timeout: 5_000 });
  console.log("answered");
} catch (error) {
  console.log(`no answer: ${error}`);
}
await connection.close();
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(folder: Path, *command: str) -> tuple[int | None, str]:
    """Run a command, and return its exit code and its output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "npm_config_cache": str(folder / "cache")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        printed, _ = await process.communicate()
    return process.returncode, printed.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which Node.js finds the client."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no Node.js with npm on this machine")
    folder = tmp_path_factory.mktemp("javascript")
    (folder / "package.json").write_text('{"type": "module"}')
    quietly = ("--no-package-lock", "--no-audit", "--no-fund", "--fetch-retries", "1")
    code, printed = await run(folder, "npm", "install", *quietly, PACKAGE)
    if code != 0:
        pytest.skip(f"npm cannot install {PACKAGE}: {printed.strip().splitlines()[-1:]}")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(node: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    del node  # skips before the product starts
    async with Product(tmp_path_factory.mktemp("product")) as product:
        yield product


async def printed_by(node: Path, product: Product, code: str) -> str:
    """Return the output of a module after setting its address to the product's."""
    (node / "example.js").write_text(
        code.replace("localhost:4222", f"127.0.0.1:{product.nats_port}")
    )
    status, printed = await run(node, "node", "example.js")
    assert status == 0, printed
    return printed


async def test_the_example_reads_writes_and_receives_the_events_of_its_job(
    node: Path, product: Product
) -> None:
    page = (ROOT / "docs" / "nats.md").read_text()
    (code,) = re.findall(r"```javascript\n(.*?)```", page, re.DOTALL)
    first, *changes = (await printed_by(node, product, code)).splitlines()
    assert re.fullmatch(r"Block \d+: 256 neurons", first)
    assert re.fullmatch(r"Job [a-z2-7]{26} is (CONFIRMED|COMMITTED)", changes[-1])


async def test_the_default_inbox_gets_no_reply(node: Path, product: Product) -> None:
    printed = await printed_by(node, product, WITHOUT_PREFIX)
    assert printed.startswith("no answer: "), printed
    assert "permission" in printed.lower()
