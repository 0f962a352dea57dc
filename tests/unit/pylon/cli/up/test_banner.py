"""The line to try works as printed, and shows no token."""

import re
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from pylon.cli.up import banner as banners
from pylon.cli.up.banner import banner
from pylon.cli.up.running_home import write_runtime_env
from pylon.cli.up.up_options import UpOptions
from tests.support.product.deployment import deployment_settings
from tests.support.product.secret_texts import secret_of

TOKEN = secret_of("open")
# In the place of curl: shows what a shell and curl itself would make of the header.
CURL = """#!/bin/sh
case "$3" in @*) cat "${3#@}";; *) echo "$3";; esac
"""


def line_of(home: Path, token: str) -> str:
    options = UpOptions(
        home=home,
        host="127.0.0.1",
        port=8000,
        nats_host="127.0.0.1",
        nats_port=4222,
        devnet_port=None,
        control_port=None,
        devnet_runtime=None,
        devnet_tempo=None,
        devnet_seed=None,
        block_time_s=12.0,
        fresh=False,
    )
    settings = deployment_settings().model_copy(update={"open_access_token": SecretStr(token)})
    text = banner(options, settings)
    assert TOKEN not in text
    (line, *_) = re.findall(r"curl .*", text)
    return line


def header_of(line: str, folder: Path) -> str:
    curl = folder / "curl"
    curl.write_text(CURL)
    curl.chmod(0o755)
    ran = subprocess.run(
        ["sh", "-c", line.replace("curl", "./curl", 1)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def test_without_a_token_there_is_no_header(tmp_path: Path) -> None:
    url = "http://localhost:8000/api/v1/subnet/1/block/latest/neurons"
    assert line_of(tmp_path, "") == f"curl -s {url}"


def test_a_token_is_read_from_the_home(tmp_path: Path) -> None:
    (home := tmp_path / "a home").mkdir()
    with write_runtime_env(home, {}, TOKEN):
        assert header_of(line_of(home, TOKEN), tmp_path) == f"Authorization: Bearer {TOKEN}"


def test_the_user_of_a_container_has_it_in_the_file_of_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(banners.os, "getpid", lambda: 1)
    (tmp_path / ".env").write_text(f"PYLON_X=1\nPYLON_OPEN_ACCESS_TOKEN={TOKEN}\n")
    line = line_of(tmp_path, TOKEN)
    assert header_of(line, tmp_path) == f"Authorization: Bearer {TOKEN}"
    (tmp_path / ".env").unlink()  # which would be taken for a leak
