"""A devnet whose disk takes no more ends with one line that says so."""

import resource
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.product.eventually import HANGS_AFTER_S

pytestmark = pytest.mark.integration

DEVNET = [sys.executable, "-m", "pylon_devnet", "--port", "0", "--block-time", "0.05"]
FILE_MAX_BYTES = 3 * 2**20
"""Enough for a new chain, and not for the blocks of a minute."""


def run_devnet(folder: Path, *more: str, file_max_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run a devnet until it ends: its files cannot grow further, as on a full disk."""
    limit = (file_max_bytes, file_max_bytes)
    return subprocess.run(
        [*DEVNET, "--state", str(folder), *more],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )


@pytest.mark.parametrize("file_max_bytes", [4096, FILE_MAX_BYTES])
def test_a_disk_that_is_full_ends_it_with_one_line(tmp_path: Path, file_max_bytes: int) -> None:
    folder = tmp_path / "chain"
    ended = run_devnet(folder, file_max_bytes=file_max_bytes)
    assert ended.returncode == 1
    assert ("devnet ready" in ended.stdout) is (file_max_bytes == FILE_MAX_BYTES)
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"devnet: could not write or read {folder}: ")
    assert "check whether the disk is full" in line


def test_a_block_that_a_control_cannot_write_ends_it_too(tmp_path: Path) -> None:
    folder = tmp_path / "chain"
    limit = (FILE_MAX_BYTES, FILE_MAX_BYTES)
    with subprocess.Popen(
        [*DEVNET, "--state", str(folder), "--control-port", "0", "--block-time", "3600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),  # noqa: PLW1509 -- it has one thread
    ) as process:
        try:
            assert process.stdout is not None
            control_url = process.stdout.readline().split()[-1]
            with httpx.Client(trust_env=False, timeout=HANGS_AFTER_S) as http:
                answer = http.post(f"{control_url}/advance", params={"blocks": 1000})
            assert answer.status_code == 507
            assert "could not write or read the chain" in answer.json()["detail"]
            _, errors = process.communicate(timeout=HANGS_AFTER_S)
        finally:
            process.kill()
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith(f"devnet: could not write or read {folder}: ")
