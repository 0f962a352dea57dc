"""`pylon up --devnet` with real processes, ports and signals."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.product import Product, processes_under
from tests.support.product.pylon_command import pylon_command

ROOT = Path(__file__).parents[3]
FETCH = {
    "state_call:NeuronInfoRuntimeApi_get_neurons_lite",
    "state_call:SubnetInfoRuntimeApi_get_subnet_state",
}
"""The two requests of one fetch of a subnet's neurons."""
LATEST = "/api/v1/subnet/1/block/latest/neurons"


async def block_after(product: Product, number: int, path: str = LATEST) -> dict[str, Any]:
    """Wait for a latest snapshot that is newer than a block, and return it."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while True:
            response = await product.get(path)
            if response.is_success and response.json()["block"]["number"] > number:
                return response.json()
            await asyncio.sleep(0.1)


async def test_neurons_are_served_to_open_access_and_identities(tmp_path: Path) -> None:
    async with Product(tmp_path) as product:
        first = await block_after(product, 0)
        assert len(first["neurons"]) == 256
        number = first["block"]["number"]

        later = await block_after(product, number + 4)
        assert later["neurons"] != first["neurons"]
        past_read = await product.get(f"/api/v1/subnet/1/block/{number}/neurons")
        assert past_read.json() == first

        bearer = {"Authorization": "Bearer devnet-sn12-token"}
        identity = "/api/v1/identity/sn12/subnet/12/block/latest/neurons"
        assert len((await product.get(identity, headers=bearer)).json()["neurons"]) == 64
        assert (await product.get(identity)).status_code == 401
        assert (
            await product.get(identity, headers={"Authorization": "Bearer devnet-sn1-token"})
        ).status_code == 403

        block = (await product.get("/api/v1/block/latest")).json()
        assert block.keys() == {"number", "hash", "timestamp"}
        assert (await product.get("/api/v1/subnet/999/block/latest/neurons")).status_code == 404
        assert (await product.get("/schema/swagger")).status_code == 200
        assert (await product.get("/health")).status_code == 200

        wallets = tmp_path / "home" / "wallets"
        assert {path.name for path in wallets.iterdir()} == {"sn1", "sn2", "sn12"}
        assert not list(wallets.glob("*/coldkey"))
        for token in ("devnet-sn1-token", "devnet-sn2-token", "devnet-sn12-token"):
            assert token in product.output


async def test_the_readmes_lines_work_as_written(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    snippet, *_ = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (curl,) = re.findall(r"```bash\n(curl .*?)\n```", readme, re.DOTALL)
    async with Product(tmp_path) as product:

        def here(text: str) -> str:
            return text.replace("8000", str(product.port)).replace("4222", str(product.nats_port))

        script = tmp_path / "snippet.py"
        script.write_text(here(snippet))
        run = await asyncio.create_subprocess_exec(
            sys.executable, str(script), stdout=asyncio.subprocess.PIPE
        )
        printed = (await run.communicate())[0].decode().splitlines()
        assert run.returncode == 0
        assert len(printed) == 2
        assert all(re.fullmatch(r"Block \d+: 256 neurons", line) for line in printed)

        url = here(curl.removeprefix("curl -s "))
        async with httpx.AsyncClient() as client:
            assert len((await client.get(url)).json()["neurons"]) == 256


async def test_two_hundred_clients_cause_one_chain_fetch_per_block(tmp_path: Path) -> None:
    clients, blocks_each = 200, 3
    async with Product(tmp_path, block_time_s=2.0) as product:
        limits = httpx.Limits(max_connections=clients)
        async with httpx.AsyncClient(base_url=product.url, timeout=60, limits=limits) as http:

            async def client() -> set[int]:
                seen: set[int] = set()
                while len(seen) < blocks_each:
                    response = await http.get(LATEST)
                    seen.add(response.raise_for_status().json()["block"]["number"])
                return seen

            seen = set[int]().union(*await asyncio.gather(*(client() for _ in range(clients))))
        async with httpx.AsyncClient(base_url=product.control_url) as control:
            requests = (await control.get("/requests")).json()
        fetches = Counter(
            (request["method"], request["block_number"])
            for request in requests
            if request["method"] in FETCH and request["params"][:1] == [1]
        )
        assert len(seen) >= blocks_each
        once = {(method, number): 1 for method in FETCH for number in seen}
        assert {key: fetches[key] for key in once} == once


@pytest.mark.parametrize("part", ["pylon_devnet", "nats-server"])
async def test_a_killed_process_is_restarted_without_the_others(tmp_path: Path, part: str) -> None:
    async with Product(tmp_path) as product:
        before = (await block_after(product, 0))["block"]["number"]
        others = {name: product.child(name) for name in ("pylon worker", "-m bridge")}
        killed = product.child(re.escape(part))
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(HANGS_AFTER_S):
            while killed in processes_under(product.process.pid):
                await asyncio.sleep(0.05)
        highest = (await block_after(product, before + 6))["block"]["number"]
        assert highest > before
        assert {name: product.child(name) for name in others} == others


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_every_process_with_exit_code_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    product = Product(tmp_path)
    await product.start()
    children = processes_under(product.process.pid)
    assert len(children) >= 4
    assert await product.stop(number) == 0
    assert not [pid for pid in children if (Path("/proc") / str(pid)).exists()]


async def test_it_stops_in_time_when_every_process_hangs(tmp_path: Path) -> None:
    product = Product(tmp_path)
    await product.start()
    children = processes_under(product.process.pid)
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    # tests/unit/pylon/cli/up/test_supervisor.py asserts the time limit with a fake clock.
    assert await product.stop() == 0
    for name in ("devnet", "worker", "bridge"):
        assert re.search(rf"{name} did not stop within [0-9.e-]+ s and was killed", product.output)
    assert not [pid for pid in children if (Path("/proc") / str(pid)).exists()]


async def test_settings_of_another_chain_do_not_reach_the_devnet_and_it_starts_quietly(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text(
        """\
PYLON_BITTENSOR_NETWORK=finney
PYLON_OPEN_ACCESS_TOKEN_FILE=/nowhere/token
PYLON_TRACKED_NETUIDS=[64]
PYLON_IDENTITIES=["sn1", "sn9"]
PYLON_ID_SN1_NETUID=64
PYLON_ID_SN1_TOKEN=of-another-chain
PYLON_ID_SN1_HOTKEY_SS58=5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
PYLON_ID_SN1_HOTKEY_PASSWORD=of-another-wallet
PYLON_NATS_CA_FILE=/nowhere/ca.pem
PYLON_NATS_STREAM_REPLICAS=3
"""
    )
    async with Product(tmp_path) as product:
        assert "tracked subnets: 1, 2, 12\n" in product.output
        assert "bridge.access" not in product.output, "its own requests are not logged"
        (warned,) = re.findall("(?m)^.*(?:WARNING|ERROR).*$", product.output)
        assert "their values have no effect: PYLON_BITTENSOR_NETWORK, " in warned
        recent = await product.get("/api/v1/subnet/64/block/recent/neurons")
        assert recent.status_code == 404
        signer = {"Authorization": "Bearer devnet-sn1-token"}
        own = "/api/v1/identity/sn1/subnet/1/block/latest/neurons"
        assert (await product.get(own, headers=signer)).is_success


async def test_a_killed_parent_leaves_no_process_behind(tmp_path: Path) -> None:
    product = Product(tmp_path)
    await product.start()
    children = processes_under(product.process.pid)
    product.process.kill()
    await product.process.wait()
    async with asyncio.timeout(HANGS_AFTER_S):
        while [pid for pid in children if (Path("/proc") / str(pid)).exists()]:
            await asyncio.sleep(0.1)


async def test_the_devnet_continues_from_its_last_block(tmp_path: Path) -> None:
    product = Product(tmp_path)
    async with product:
        first = await block_after(product, 3)
    number = first["block"]["number"]
    async with product:
        assert (await block_after(product, number))["block"]["number"] > number
        again = await product.get(f"/api/v1/subnet/1/block/{number}/neurons")
        assert again.json() == first


async def test_a_fresh_start_discards_published_blocks(tmp_path: Path) -> None:
    async def block_hash(product: Product) -> str:
        """Return the hash of block 5, which exists at the start of every devnet."""
        return (await product.get("/api/v1/subnet/2/block/5/neurons")).json()["block"]["hash"]

    product = Product(tmp_path, block_time_s=0.25)
    async with product:
        old_hash = await block_hash(product)
        old = (await block_after(product, 40))["block"]["number"]
    product.fresh, product.block_time_s = True, 2.0
    async with product:
        # If the stream still had the old blocks, the first published block would be above 40.
        new = (await block_after(product, 0))["block"]["number"]
        assert (await block_after(product, new))["block"]["number"] < old
        assert await block_hash(product) != old_hash


async def test_the_error_about_a_used_port_names_the_option_to_change(tmp_path: Path) -> None:
    product = Product(tmp_path)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", product.port))
        listener.listen()
        run = await asyncio.create_subprocess_exec(
            *product.argv(), cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await run.communicate()
    assert run.returncode == 1
    assert f"port {product.port}" in errors.decode()
    assert "--port" in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_commands_find_the_running_pylon_of_the_same_home(tmp_path: Path) -> None:
    home = {"PYLON_HOME": str(tmp_path / "home")}
    async with Product(tmp_path) as product:
        await block_after(product, 0)
        record = tmp_path / "home" / "running.json"
        assert record.stat().st_mode & 0o777 == 0o600
        checked = await pylon_command(tmp_path, home, "check")
        assert checked.code == 0, checked.out
        assert f"127.0.0.1:{product.nats_port} as worker" in checked.out
        listed = await pylon_command(tmp_path, home, "jobs", "ls")
        assert listed.code == 0, listed.err
        elsewhere = await pylon_command(
            tmp_path, home | {"PYLON_NATS_URL": "nats://127.0.0.1:1"}, "jobs", "ls"
        )
        assert elsewhere.code == 1
    assert not record.exists()
