"""The devnet as a process: it starts, stops, is killed and resumes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.product.eventually import HANGS_AFTER_S


class Node:
    def __init__(self, process: Process, url: str, control: str) -> None:
        self.process = process
        self.url = url
        self.control = control

    async def request(self, method: str, *params: Any) -> Any:
        async with connect(self.url) as connection:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
            await connection.send(json.dumps(request))
            return json.loads(await connection.recv())["result"]

    async def status(self) -> dict[str, Any]:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{self.control}/status")).json()

    async def until(self, number: int) -> None:
        async with asyncio.timeout(HANGS_AFTER_S):
            while (await self.status())["best_number"] < number:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def started(*arguments: str) -> AsyncGenerator[Node]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pylon_devnet", "--port", "0", "--control-port", "0"),
        *arguments,
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            control = (await process.stdout.readline()).decode().split()
            ready = (await process.stdout.readline()).decode().split()
        assert (control[:2], ready[:2]) == (["devnet", "control"], ["devnet", "ready"])
        yield Node(process, ready[2], control[2])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_on_sigterm_and_resumes_at_its_last_block(
    how: signal.Signals, tmp_path: Path
) -> None:
    arguments = ("--state", str(tmp_path), "--block-time", "0.05")
    async with started(*arguments) as node:
        await node.until(8)
        hashes = await node.request("chain_getBlockHash", list(range(9)))
        storage = [
            await node.request("state_getKeysPaged", "0x", 1000, None, one) for one in hashes
        ]
        node.process.send_signal(how)
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await node.process.wait() == 0
    async with started(*arguments) as node:
        assert (await node.status())["best_number"] >= 8
        assert await node.request("chain_getBlockHash", list(range(9))) == hashes
        assert [
            await node.request("state_getKeysPaged", "0x", 1000, None, one) for one in hashes
        ] == storage
        before = (await node.status())["best_number"]
        await node.until(before + 3)


async def test_a_killed_devnet_resumes_at_its_last_complete_block(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), "--block-time", "0.05")
    known: dict[int, str] = {}
    for round_number in range(3):
        async with started(*arguments) as node:
            first = (await node.status())["best_number"]
            assert first >= max(known, default=0), "a block that was announced is gone"
            found = await node.request("chain_getBlockHash", list(known))
            assert dict(zip(known, found, strict=True)) == known
            await node.until(first + 5 + round_number)
            best = (await node.status())["best_number"]
            numbers = list(range(best + 1))
            hashes = await node.request("chain_getBlockHash", numbers)
            known = dict(zip(numbers, hashes, strict=True))
            os.kill(node.process.pid, signal.SIGKILL)
            assert await node.process.wait() == -signal.SIGKILL


async def test_another_block_time_continues_the_chain(tmp_path: Path) -> None:
    genesis: set[str] = set()
    for block_time in ("0.05", "0.1"):
        async with started("--state", str(tmp_path), "--block-time", block_time) as node:
            genesis.add((await node.status())["genesis_hash"])
    assert len(genesis) == 1


async def test_fresh_starts_over(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), "--block-time", "0.05")
    async with started(*arguments) as node:
        await node.until(20)
    async with started("--state", str(tmp_path), "--block-time", "60", "--fresh") as node:
        assert (await node.status())["best_number"] == 0


async def refused(*arguments: str) -> str:
    """Return the error of a devnet that cannot start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pylon_devnet", "--port", "0", *arguments),
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    return errors.decode()


async def test_a_folder_with_the_chain_of_another_seed_is_refused(tmp_path: Path) -> None:
    async with started("--state", str(tmp_path)) as node:
        await node.status()
    assert "the state folder contains another chain" in await refused(
        *("--state", str(tmp_path), "--seed", "2")
    )


async def test_a_folder_of_a_running_devnet_is_refused_and_unchanged(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path), "--block-time", "0.05")
    async with started(*arguments) as node:
        for more in ((), ("--fresh",)):
            error = await refused(*arguments, *more)
            assert error == f"devnet: {tmp_path} cannot be used: another devnet runs there\n"
        await node.until((await node.status())["best_number"] + 3)


async def test_advance_is_bounded_and_ends_with_its_client_and_with_the_devnet() -> None:
    async with started("--block-time", "60") as node, httpx.AsyncClient() as http:

        async def advance(blocks: object) -> httpx.Response:
            return await http.post(
                f"{node.control}/advance", json={"blocks": blocks}, timeout=HANGS_AFTER_S
            )

        assert (await advance(3)).json() == 3
        for blocks in (0, -1, 10_001, "5", 1.5, True):
            refusal = await advance(blocks)
            assert refusal.status_code == 400
            assert refusal.json() == {
                "detail": f"blocks is {blocks!r}; a request makes 1 to 10000 blocks"
            }
        leaving = asyncio.create_task(advance(10_000))
        await node.until(8)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        async with asyncio.timeout(HANGS_AFTER_S):
            before = -1
            while (now := (await node.status())["best_number"]) != before:
                before = now
                await asyncio.sleep(0.1)
        assert now < 10_000, "it went on without a client"
        waiting = asyncio.create_task(advance(10_000))
        await node.until(now + 3)
        node.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await node.process.wait() == 0
        await asyncio.gather(waiting, return_exceptions=True)


async def test_help_names_the_options() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pylon_devnet", "--help"),
        stdout=PIPE,
        env={**os.environ, "COLUMNS": "120", "TERM": "dumb"},
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        output, _ = await process.communicate()
    assert process.returncode == 0
    text = output.decode()
    for word in ("--block-time", "--state", "--fresh", "--seed", "--control-port", "btcli"):
        assert word in text
