"""`btcli`, as it is shipped, against the devnet."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import bittensor
import pytest

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import hotkey
from tests.support.chain.dev_wallet import write_dev_wallets
from tests.support.chain.sdk_storage import st
from tests.support.product.eventually import HANGS_AFTER_S

BTCLI = Path(sys.executable).parent / "btcli"


async def btcli(devnet: Devnet, home: Path, *arguments: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        *(BTCLI, "--json", "-y", "-n", devnet.url, *arguments),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={
            **os.environ,
            "HOME": str(home),
            "BITTENSOR_RUNTIME_CACHE_DIR": str(home / "runtime-cache"),
        },
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        output, errors = await process.communicate()
    assert process.returncode == 0, (output, errors)
    return json.loads(output)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_dev_wallets(tmp_path, "sn1", "sn12")
    return tmp_path


async def test_queries(devnet: Devnet, home: Path) -> None:
    metagraph = await btcli(devnet, home, "query", "metagraph", "--netuid", "1")
    assert (metagraph["netuid"], metagraph["name"], metagraph["block"]) == (1, "apex", 10)
    assert metagraph["hotkeys"] == [hotkey(1, uid) for uid in range(256)]
    neurons = await btcli(devnet, home, "query", "neurons", "--netuid", "2")
    assert [one["hotkey"] for one in neurons] == [hotkey(2, uid) for uid in range(16)]
    hyperparameters = await btcli(devnet, home, "query", "subnet-hyperparameters", "--netuid", "12")
    assert hyperparameters["tempo"] == 20
    assert hyperparameters["commit_reveal_weights_enabled"] is True
    shown = await btcli(devnet, home, "hparams", "get", "--netuid", "1")
    assert shown["weights_rate_limit"] == 100


async def test_weights_and_axon(home: Path) -> None:
    async with Devnet(DevnetOptions(port=0, block_time_s=0.25)) as devnet:
        uids = ("--uids", "20,30", "--weights", "0.25,0.75")
        plain = await btcli(
            devnet, home, *("weights", "set", "--netuid", "1", *uids, "-w", "sn1", "-H", "default")
        )
        timelocked = await btcli(
            devnet,
            home,
            *("weights", "set", "--netuid", "12", *uids, "-w", "sn12", "-H", "default"),
        )
        axon = await btcli(
            devnet,
            home,
            *("axon", "set", "--netuid", "1", "--ip", "203.0.113.7", "--port", "8091", "--tls"),
            *("--certificate", "0x01ff00aa", "-w", "sn1", "-H", "default"),
        )
        assert (plain["success"], timelocked["success"], axon["success"]) == (True, True, True)
        assert timelocked["data"]["reveal_round"] > 0
        async with bittensor.Client(devnet.url) as client:
            row = await client.query(st.SubtensorModule.Weights, [1, 0])
            assert [tuple(one) for one in row] == [(20, 21845), (30, 65535)]
            commits = await client.query_map(st.SubtensorModule.TimelockedWeightCommits, [12])
            assert [[one[0] for one in pending] for _, pending in commits] == [[hotkey(12, 0)]]
            served = await client.query(st.SubtensorModule.Axons, [1, hotkey(1, 0)])
            assert (served["port"], served["ip_type"]) == (8091, 4)
            where = [1, hotkey(1, 0)]
            certificate = await client.query(st.SubtensorModule.NeuronCertificates, where)
            assert certificate == {"public_key": "0xff00aa", "algorithm": 1}
        assert [one.error for one in devnet.applied_extrinsics()] == [None, None, None]
