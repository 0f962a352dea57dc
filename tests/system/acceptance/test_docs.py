"""Run every block of code in the README and in docs/.

A block that cannot run here follows a line `<!-- not run: reason -->`, and is skipped with that
reason. Python runs unchanged against `pylon up --devnet`, except for the default addresses, which
are replaced; blocks of tests run in pytest; blocks of settings are read as settings.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.process_output import append_output
from tests.support.product.product import Product

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Diagrams, and a tree of names that test_public_api.py compares.
NO_CODE = {"mermaid", ""}
SETTING = re.compile(r"\s*(#.*|[A-Z0-9_{}…]+=.*)?")
# Variables of an operator's shell, in addition to the page's own.
OPERATORS = {"PYLON_METRICS_TOKEN": "my_metrics_token"}
RUN_SCRIPT = """
import ast, asyncio, inspect, pathlib, sys
code = pathlib.Path(sys.argv[1]).read_text()
source = compile(code, sys.argv[1], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
if source.co_flags & inspect.CO_COROUTINE:
    asyncio.run(eval(source, {"__name__": "__main__"}))
else:
    exec(source, {"__name__": "__main__"})
"""
READ_SETTINGS = """
from bridge.settings import BridgeSettings
from pylon.worker.settings import WorkerSettings
for settings in (BridgeSettings(), WorkerSettings()):
    assert settings.identity_settings.keys() == set(settings.identities)
"""


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def is_settings(self) -> bool:
        return all(SETTING.fullmatch(line) for line in self.code.splitlines())

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    blocks: list[Block] = []
    lines = page.read_text().splitlines()
    opened: int | None = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        before = next((text for text in reversed(lines[:opened]) if text.strip()), "")
        marker = re.fullmatch(r"<!-- not run: (.+) -->", before.strip())
        language = lines[opened].strip().removeprefix("```")
        code = "\n".join(lines[opened + 1 : number]) + "\n"
        where = page.relative_to(ROOT).as_posix()
        blocks.append(Block(where, opened + 1, language, code, marker and marker[1]))
        opened = None
    assert opened is None, f"{page} has a block without an end"
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language not in NO_CODE]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Product]:
    async with Product(tmp_path_factory.mktemp("product"), settings=OPERATORS) as product:
        yield product


def at_the_product(code: str, product: Product) -> str:
    """Return the code with the product's addresses instead of the default ones."""
    for default, port in (
        (8000, product.port),
        (4222, product.nats_port),
        (9944, product.devnet_port),
    ):
        code = re.sub(rf"(localhost|127\.0\.0\.1):{default}\b", rf"127.0.0.1:{port}", code)
    return code


async def run(folder: Path, *command: str, **environment: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYLON_")}
    # Readers of the page have installed its command, in `.venv` of the folder.
    inherited["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]])
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**inherited, "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        printed, _ = await process.communicate()
    append_output(folder, printed)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("block", BLOCKS, ids=str)
async def test_a_block_of_code_works(block: Block, product: Product, tmp_path: Path) -> None:
    if block.reason is not None:
        pytest.skip(f"{block}: {block.reason}")
    code = at_the_product(block.code, product)
    if block.is_settings:
        (tmp_path / ".env").write_text(code)
        await run(tmp_path, sys.executable, "-c", READ_SETTINGS)
    elif block.language == "python" and "def test_" in code:
        (tmp_path / "test_block.py").write_text(code)
        pytest_here = ("pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider")
        await run(tmp_path, sys.executable, "-m", *pytest_here, "test_block.py")
    elif block.language == "python":
        (tmp_path / "block.py").write_text(code)
        printed = await run(tmp_path, sys.executable, "-W", "error", "-c", RUN_SCRIPT, "block.py")
        assert printed.strip() or "print(" not in code
    else:
        assert block.language == "bash", f"{block}: unknown language {block.language!r}"
        shell = ("bash", "-euo", "pipefail", "-c")
        home = {"PYLON_HOME": str(product.folder / "home")}
        assert (await run(tmp_path, *shell, code, **OPERATORS, **home)).strip()


def test_there_are_blocks_and_most_of_them_run() -> None:
    # tests/deploy covers the pages about deployment, which need an engine or a cluster.
    of_a_laptop = [block for block in BLOCKS if not block.page.startswith("docs/deployment/")]
    ran = [block for block in of_a_laptop if block.reason is None]
    assert len(ran) >= 10
    assert len(ran) > len(of_a_laptop) / 2
