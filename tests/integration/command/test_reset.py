"""`pylon reset` of a home: another chain is served, and the state of the old one is kept."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from pylon.chain.chain_identity import short_genesis
from pylon_client.v1 import JobState, PylonNotFound
from pylon_devnet import Devnet, DevnetOptions
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.free_ports import free_ports
from tests.support.product.job_deployment import (
    SUBNETS,
    client_of,
    defer_job_with,
    ended,
    make_wallets,
    signing_settings,
)
from tests.support.product.product import Product
from tests.support.product.pylon_command import command_environment, pylon_argv, pylon_command
from tests.support.product.service_process import service_process

HIGHER_BY_BLOCKS = 150
POLL_S = 0.05


def options(seed: int) -> DevnetOptions:
    return DevnetOptions(port=0, block_time_s=0.2, seed=seed, tempo_blocks=2000, active=False)


def settings(folder: Path, devnet: Devnet) -> dict[str, str]:
    wallets = {name: name for name in SUBNETS}
    return signing_settings(folder / "wallets", SUBNETS, wallets) | {
        "PYLON_BITTENSOR_NETWORK": devnet.url,
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
    }


@asynccontextmanager
async def running(folder: Path, home: str, devnet: Devnet) -> AsyncGenerator[str]:
    """Run `pylon up` within the block; gives the URL of its REST API."""
    port, nats_port = free_ports(2)
    argv = pylon_argv("up", "--home", home, "--port", str(port), "--nats-port", str(nats_port))
    environment = command_environment(folder, settings(folder, devnet))
    async with service_process(argv, folder, environment) as process:
        async with asyncio.timeout(HANGS_AFTER_S):
            while "Ctrl-C stops it." not in (folder / "output").read_text():
                assert process.returncode is None, (folder / "output").read_text()
                await asyncio.sleep(POLL_S)
        yield f"http://127.0.0.1:{port}"


async def latest_number(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=HANGS_AFTER_S) as http:
        return (await http.get(f"{url}/api/v1/block/latest")).json()["number"]


async def test_a_home_serves_another_chain_once_its_state_is_set_aside(tmp_path: Path) -> None:
    async with Devnet(options(1)) as old, Devnet(options(2)) as new:
        await old.advance(HIGHER_BY_BLOCKS)
        for devnet in (old, new):
            make_wallets(tmp_path, devnet)
        async with running(tmp_path, "home", old) as url, client_of(url, "sn2") as client:
            deferred = await defer_job_with(client.identity, old)

        ports = [str(port) for port in free_ports(2)]
        argv = ["up", "--home", "home", "--port", ports[0], "--nats-port", ports[1]]
        refused = await pylon_command(tmp_path, settings(tmp_path, new), *argv)
        assert refused.code == 1
        label = old.url.rstrip("/")
        command = f"pylon reset --network {label} --home {tmp_path / 'home'}"
        assert command in refused.err
        for devnet in (old, new):
            assert short_genesis("0x" + devnet.chain.genesis_hash.hex()) in refused.err

        variables = settings(tmp_path, new)
        done = await pylon_command(tmp_path, variables, *command.split()[1:], "--yes")
        assert done.code == 0, done.err
        assert "1 job that has not ended (sn2: 1)" in done.err
        (aside,) = (tmp_path / "home" / "set-aside").iterdir()
        assert f"pylon up --home {aside}" in done.out
        again = await pylon_command(tmp_path, variables, *command.split()[1:], "--yes")
        assert again.code == 1
        assert "there is no state in" in again.err

        begun_at = new.best_number
        async with running(tmp_path, "home", new) as url, client_of(url, "sn2") as client:
            assert begun_at <= await latest_number(url) < old.best_number
            with pytest.raises(PylonNotFound):
                await client.identity.get_job(deferred)
        assert sum(sum(calls.values()) for calls in new.applied_counts().values()) == 0

        old.set_hyperparameter(2, "WeightsSetRateLimit", 0)
        async with running(tmp_path, str(aside), old) as url, client_of(url, "sn2") as client:
            assert (await ended(client.identity, deferred)).state is JobState.CONFIRMED


async def test_the_state_of_a_devnet_is_set_aside_with_its_chain(tmp_path: Path) -> None:
    product = Product(tmp_path)
    async with product:
        await product.devnet.control("POST", "/advance", blocks=HIGHER_BY_BLOCKS)
        old = await latest_number(product.url)
    hint = await pylon_command(tmp_path, {"PYLON_HOME": "home"}, "backup", "file")
    assert (hint.code, "add --devnet" in hint.err) == (1, True)
    home, network = tmp_path / "home", f"ws://127.0.0.1:{product.devnet_port}"
    done = await pylon_command(
        tmp_path, {}, "reset", "--network", network, "--home", str(home), "--yes"
    )
    assert done.code == 0, done.err
    (aside,) = (home / "set-aside").iterdir()
    assert f"pylon up --devnet --home {aside}" in done.out
    assert not (home / "devnet" / "chain").exists()
    aside.rename(tmp_path / "aside")
    home.rename(tmp_path / "emptied")
    (tmp_path / "aside").rename(home)
    async with product:
        assert "is gone" not in product.output
        assert await latest_number(product.url) >= old


async def test_a_devnet_whose_chain_was_removed_starts_at_genesis(
    tmp_path: Path,
) -> None:
    product = Product(tmp_path)
    async with product:
        await product.devnet.control("POST", "/advance", blocks=HIGHER_BY_BLOCKS)
        old = await latest_number(product.url)
    assert old > HIGHER_BY_BLOCKS
    shutil.rmtree(tmp_path / "home" / "devnet" / "chain")
    async with product:
        assert "does not exist: removing its events and jobs" in product.output

        async def is_published() -> bool:
            recent = await product.get("/api/v1/subnet/1/block/recent/neurons")
            return recent.status_code == 200 and recent.json()["block"]["number"] < old

        await comes_true(is_published)
