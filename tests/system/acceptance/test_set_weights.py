"""Set weights as in the README, and check the chain, the job stream and `pylon jobs`."""

import asyncio
import json
import os
import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from pylon.cli.up import devnet_identities
from pylon_client.v1 import JobState
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.product import Product
from tests.support.product.pylon_command import pylon_command
from tests.support.wire.event_stream import EventStream, listening_client

README = Path(__file__).parents[3] / "README.md"
BIN = Path(sys.executable).parent
JOBS = "/api/v1/identity/sn2/subnet/2/jobs"
SN2 = {"Authorization": f"Bearer {devnet_identities.identity_token('sn2')}"}


def blocks(language: str, text: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return [block for block in found if text in block]


async def run(product: Product, *command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=product.folder,
        env={
            **os.environ,
            "HOME": str(product.folder),
            "BITTENSOR_RUNTIME_CACHE_DIR": str(product.folder / "runtime-cache"),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


async def weights_on_chain(product: Product) -> dict[str, float]:
    """Return the weights of uid 0 that the README's command shows, from its JSON."""
    (line,) = blocks("bash", "btcli")
    command, *arguments = shlex.split(
        line.replace("localhost:9944", f"127.0.0.1:{product.devnet_port}")
    )
    assert Path(command) == Path(".venv/bin/btcli")
    shown = json.loads(await run(product, BIN / "btcli", "--json", *arguments))
    return shown["0"]


async def own_jobs(product: Product) -> list[dict[str, Any]]:
    return (await product.get(JOBS, headers=SN2)).json()["jobs"]


async def test_the_readmes_weights_are_set_on_the_chain(tmp_path: Path) -> None:
    (example,) = blocks("python", "put_weights")
    async with Product(tmp_path) as product, listening_client(product.url) as http:
        http.headers.update(SN2)
        script = tmp_path / "example.py"
        script.write_text(example.replace("localhost:8000", f"127.0.0.1:{product.port}"))
        announced, ended = (await run(product, sys.executable, script)).splitlines()
        assert re.fullmatch(r"CONFIRMED in block \d+", ended)
        # The rate limit of 100 blocks must last until the end of the test.
        await product.devnet.control("POST", "/pause")
        (job,) = await own_jobs(product)
        assert ended.endswith(f" {job['included_block']}")
        shown = await weights_on_chain(product)
        assert sorted(map(int, shown)) == [int(uid) for uid in announced.split()[3:]]
        assert sorted(round(share, 3) for share in shown.values()) == [0.2, 0.3, 0.5]

        # The stream of an ended job has one event, and ends.
        async with EventStream.of(http, f"{JOBS}/{job['job_id']}/stream") as stream:
            await stream.ends()
        assert stream.events == [("job", job)]

        # The next weights wait for the rate limit: list, show and cancel them.
        neurons = (await product.get("/api/v1/subnet/2/block/latest/neurons")).json()["neurons"]
        weights = {"weights": {list(neurons)[1]: 1.0}}
        path = "/api/v1/identity/sn2/subnet/2/weights"
        waiting_id = (await http.put(path, json=weights)).json()["job_id"]
        async with EventStream.of(http, f"{JOBS}/{waiting_id}/stream") as stream:
            async with asyncio.timeout(HANGS_AFTER_S):
                while not stream.events or stream.events[-1][1]["state"] != JobState.WAITING:
                    await asyncio.sleep(0.05)
            environment = {
                "PYLON_NATS_URL": product.nats_url,
                **devnet_identities.devnet_settings("ws://127.0.0.1:1", tmp_path, 0.5),
            }

            async def operator(*arguments: str, code: int = 0) -> str:
                done = await pylon_command(tmp_path, environment, "jobs", *arguments)
                assert done.code == code, done
                assert devnet_identities.identity_token("sn2") not in done.out + done.err
                return done.err if code else done.out

            listed = (await operator("ls")).splitlines()
            assert [line.split()[0] for line in listed] == [waiting_id, job["job_id"]]
            assert "sn2 on 2 weights WAITING" in listed[0]
            assert "RATE_LIMITED" in listed[0]
            assert await operator("ls", "--identity", "sn1") == ""
            assert json.loads(await operator("show", waiting_id))["state"] == JobState.WAITING
            assert f"{waiting_id} sn2 on 2 weights CANCELLED" in await operator(
                "cancel", waiting_id
            )
            await stream.ends()
        states = [data for _, data in stream.events]
        assert states[-1]["state"] == JobState.CANCELLED
        assert states[-1]["last_error"]["code"] == "CANCELLED"
        assert all(one != other for one, other in pairwise(states))
        assert states[-1] == (await own_jobs(product))[0]

        assert "CONFIRMED" in await operator("cancel", job["job_id"]), "ended jobs stay unchanged"
        assert "not found" in await operator("show", "a" * 26, code=1)
        assert "not found" in await operator("show", waiting_id, "--identity", "sn1", code=1)
        assert "PYLON_IDENTITIES" in await operator("ls", "--identity", "nobody", code=1)
        assert "is not a job's id" in await operator("show", "x", code=2)
        response = await product.get(f"{JOBS}/{'a' * 26}/stream", headers=SN2)
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
        assert await weights_on_chain(product) == shown
