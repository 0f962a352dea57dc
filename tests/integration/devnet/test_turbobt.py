"""turbobt, another SDK with its own codec, against the devnet."""

import asyncio
import json
from pathlib import Path
from typing import Any

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import hotkey
from tests.support.product.environments import ROOT, python_with

SCRIPT = ROOT / "tests" / "compat" / "scripts" / "turbobt_session.py"


async def test_reads_weights_and_commitments(tmp_path: Path) -> None:
    python = await asyncio.to_thread(python_with, "turbobt")
    for name in ("sn1", "sn12"):
        write_wallet(tmp_path, name, "default")
    async with Devnet(DevnetOptions(port=0, block_time_s=0.1)) as devnet:
        session = await asyncio.create_subprocess_exec(
            str(python), str(SCRIPT), devnet.url, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await session.communicate()
        assert session.returncode == 0
        seen: dict[str, Any] = json.loads(printed)
        assert [one.error for one in devnet.applied_extrinsics()] == [None, None, None]
    assert seen["hotkeys"] == [hotkey(1, uid) for uid in range(256)]
    assert (seen["state_hotkeys"], seen["tempo"]) == (256, 360)
    assert seen["weights"] == {"70": 1.0, "80": 1.0}
    assert bytes.fromhex(seen["commitment"]) == b"hello \xff"
    assert seen["pending"] == {hotkey(12, 0): seen["reveal_round"]}
