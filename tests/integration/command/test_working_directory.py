"""Commands with a deleted working directory, or a terminal without Unicode."""

import asyncio
from pathlib import Path

from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.pylon_command import command_environment, pylon_argv


async def run(folder: Path, argv: list[str], **variables: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        env=command_environment(folder, variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANGS_AFTER_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_deleted_working_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = 'cd gone && rmdir ../gone && exec "$@"'
    code, out, err = await run(tmp_path, ["sh", "-c", script, "sh", *pylon_argv("check")])
    assert (code, out) == (1, "")
    assert err.startswith("pylon: the working directory cannot be used (No such file or directory)")


async def test_a_terminal_without_unicode_is_supported(tmp_path: Path) -> None:
    (folder := tmp_path / "hä").mkdir()
    (folder / ".env").write_text(
        "PYLON_BITTENSOR_NETWORK=nö\nPYLON_BITTENSOR_ARCHIVE_NETWORK=\n"
        "PYLON_NATS_URL=nats://127.0.0.1:9\n"
    )
    code, out, err = await run(folder, pylon_argv("check"), PYTHONIOENCODING="ascii")
    assert code == 1
    assert f"{tmp_path}/h?/" in out
    assert "Traceback" not in err
