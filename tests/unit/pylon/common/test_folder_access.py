"""State of another user is refused before a write, with both users and the file."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.common.folder_access import require_access

ANOTHER_USER = 54_321
ROOT = Path(__file__).parents[4]
AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from pylon_devnet.block_store import BlockStore
from pylon.cli.up.home_folder import require_home_access
from pylon.cli.up.up_options import UpError, UpOptions
home = Path(sys.argv[1])
options = UpOptions(
    home=home, host="127.0.0.1", port=1, nats_host="127.0.0.1", nats_port=2, devnet_port=3,
    control_port=None, devnet_runtime=None, devnet_tempo=None, devnet_seed=None, block_time_s=1.0,
    fresh=False,
)
os.setgroups([])
os.setgid({user})
os.setuid({user})
for use in (lambda: require_home_access(options), lambda: BlockStore(options.chain_folder)):
    try:
        use()
    except (OSError, UpError) as error:
        print(getattr(error, "strerror", None) or error)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    # Not below the folder of the tests, which other users may not enter.
    home = Path("/tmp") / f"pylon-home-{os.getpid()}"  # noqa: S108 -- the same
    (home / "devnet" / "chain").mkdir(parents=True)
    for folder in (home, home / "devnet", home / "devnet" / "chain"):
        folder.chmod(0o777)
    yield home
    shutil.rmtree(home)


def test_accessible_paths_pass(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "folder" / "nowhere").symlink_to("/proc/1/mem")
    require_access([tmp_path / "folder", tmp_path / "not-there-yet"])


@pytest.mark.integration  # another process
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_home_of_another_user_is_refused_with_the_remedy(home: Path) -> None:
    chain = home / "devnet" / "chain" / "chain.sqlite3"
    chain.touch(0o600)
    ended = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER.format(user=ANOTHER_USER), str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    of_another = (
        f"{chain} belongs to user 0 and this process is user {ANOTHER_USER}: run it as user 0, or "
        "change the owner of all files"
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        f"cannot use {home} ({of_another}); choose another --home (PYLON_HOME)",
        of_another,
    ]
