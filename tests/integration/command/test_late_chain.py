"""`pylon up` before its chain is there and after it came, and commands beside it in any folder."""

import asyncio
import json
import re
import shlex
import signal
from pathlib import Path

import httpx

from pylon.cli.up import devnet_identities
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from pylon_devnet import Devnet, DevnetOptions
from tests.support.product.eventually import HANGS_AFTER_S, eventually
from tests.support.product.free_ports import free_ports
from tests.support.product.pylon_command import command_environment, pylon_argv, pylon_command
from tests.support.product.secret_texts import secret_of
from tests.support.product.service_process import service_process

OTHER_LOOPBACK = "127.0.0.2"
OPEN_TOKEN = secret_of("open")


async def shell(line: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", line, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        out, _ = await process.communicate()
    return out.decode()


async def test_it_waits_for_its_chain_and_commands_find_it_from_any_folder(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    port, nats_port, chain_port = free_ports(3)
    devnet_identities.write_wallets(here)
    settings = {
        "PYLON_BITTENSOR_NETWORK": f"ws://127.0.0.1:{chain_port}",
        "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
        "PYLON_BITTENSOR_WALLET_PATH": "wallets",
        "PYLON_OPEN_ACCESS_TOKEN": OPEN_TOKEN,
        "PYLON_OPEN_ACESS_TOKEN": "",
        "PYLON_NATS_HOST": OTHER_LOOPBACK,
        "PYLON_IDENTITIES": '["sn2"]',
        "PYLON_ID_SN2_NETUID": "2",
        "PYLON_ID_SN2_TOKEN": secret_of("sn2"),
        "PYLON_ID_SN2_WALLET_NAME": "sn2",
        "PYLON_ID_SN2_HOTKEY_NAME": devnet_identities.HOTKEY_NAME,
    }
    (here / ".env").write_text("".join(f"{name}={text}\n" for name, text in settings.items()))
    output = here / "output"
    environment = command_environment(here, {"PORT": str(port), "NATS_PORT": str(nats_port)})
    url = f"http://127.0.0.1:{port}"
    bearer = {"Authorization": f"Bearer {OPEN_TOKEN}"}
    async with (
        service_process(pylon_argv("up"), here, environment) as process,
        httpx.AsyncClient(base_url=url, timeout=HANGS_AFTER_S) as client,
    ):
        # Without the chain, requests that do not need it succeed; others fail with a clear error.
        await eventually(
            lambda: f"{url} serves only requests that do not need the chain" in output.read_text()
        )
        assert (await client.get("/health")).json()["nats_connected"]
        read = await client.get("/api/v1/block/latest", headers=bearer)
        assert (read.status_code, read.json()["code"]) == (502, "CHAIN_UNAVAILABLE")
        second = await pylon_command(here, {}, "up", "--port", str(free_ports(1)[0]))
        assert second.code == 1
        assert "another `pylon up` runs from .pylon: stop it, or choose" in second.err

        # It has come.
        async with Devnet(DevnetOptions(port=chain_port, block_time_s=0.5)):
            await eventually(lambda: "Ctrl-C stops it." in output.read_text())
            printed = output.read_text()
            for line in re.findall(r"curl .*", printed):
                reply = json.loads(await shell(line, elsewhere))
                assert "code" not in reply, "the line works as printed, in any folder"
            assert printed.count("did you mean PYLON_OPEN_ACCESS_TOKEN?") == 1

            # Commands in another folder, with the home of the first.
            home = str(here / ".pylon")
            checked = await pylon_command(elsewhere, {}, "check", "--home", home, "--json")
            report = json.loads(checked.out)
            assert (report["ok"], report["home"]) == (True, home), report
            texts = [finding["text"] for finding in report["findings"]]
            assert "its hotkey can be opened" in texts
            assert f"connected to {OTHER_LOOPBACK}:{nats_port} as worker" in texts
            listed = await pylon_command(elsewhere, {"PYLON_HOME": home}, "jobs", "ls", "--json")
            assert json.loads(listed.out) == {"jobs": [], "has_more": False}

            # NATS on an address that is not the default one.
            options = ConnectionOptions(
                (f"nats://{OTHER_LOOPBACK}:{nats_port}",), "open", OPEN_TOKEN
            )
            connection = await connect(options)
            await connection.close()

        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert OPEN_TOKEN not in output.read_text()
    left = {path.name for path in (here / ".pylon").iterdir()}
    assert not {"running.json", "open-access.header"} & left
    gone = await pylon_command(elsewhere, {}, "jobs", "ls", "--home", shlex.quote(home))
    assert (gone.code, gone.out) == (1, "")
    assert gone.err == f"pylon: no Pylon runs from {home}: start it with `pylon up --home {home}`\n"


async def test_a_command_without_a_deployment_asks_for_one(
    tmp_path: Path,
) -> None:
    for arguments in (["check"], ["jobs", "ls"], ["watch", "blocks"]):
        ended = await pylon_command(tmp_path, {}, *arguments)
        assert (ended.code, ended.out) == (1, "")
        assert f"no Pylon runs from {tmp_path}/.pylon" in ended.err
        assert "add --home" in ended.err
        assert ended.err.count("\n") == 1
