"""Where the client alone is installed, the commands of the service name what is missing."""

import subprocess
import sys

import pytest

WITHOUT = """
import runpy, sys
for name in ("typer", "rich", "bittensor", "bittensor_core", "fastapi"):
    sys.modules[name] = None
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["pylon", "bridge"])
def test_a_command_of_the_service_says_how_to_install_it(module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "pip install 'pylon-client[service]'" in ended.stderr


def test_the_import_of_the_devnet_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['bittensor_core'] = None; import pylon_devnet"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.stderr.splitlines()[-1] == (
        "ImportError: the devnet needs bittensor_core: install it with "
        "`pip install 'pylon-client[service]'`"
    )
