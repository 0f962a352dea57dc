"""The home folder of `pylon up`: access check, lock and preparation."""

import contextlib
import logging
import shutil
from collections.abc import Generator
from pathlib import Path

from pylon.cli.up import devnet_identities
from pylon.cli.up.running_home import HEADER_FILE, SETTINGS_FILE
from pylon.cli.up.up_options import UpError, UpOptions
from pylon.common.folder_access import require_access, require_path_access
from pylon.common.folder_lock import LOCK_FILE, FolderLock
from pylon_devnet import state_folder

logger = logging.getLogger(__name__)

RUNTIME_CACHE = "runtime-cache"
HOME_ENTRIES = (
    *("nats", "devnet", devnet_identities.WALLETS_FOLDER, RUNTIME_CACHE),
    *(LOCK_FILE, SETTINGS_FILE, HEADER_FILE),
)
"""Files and folders of a home; other files of the user are ignored."""


@contextlib.contextmanager
def _os_errors_as_up_error(options: UpOptions) -> Generator[None]:
    """Convert errors of the operating system to UpError, with a remedy."""
    try:
        yield
    except OSError as error:
        raise UpError(
            f"cannot use {options.home} ({error.strerror}); choose another --home (PYLON_HOME)"
        ) from None


def require_home_access(options: UpOptions) -> None:
    """Raise unless this user may use the home and all its entries."""
    with _os_errors_as_up_error(options):
        require_path_access(options.home)
        require_access(options.home / name for name in HOME_ENTRIES)


@contextlib.contextmanager
def lock_home(options: UpOptions) -> Generator[None]:
    """Lock the home within the block.

    Raises:
        UpError: the home cannot be used, or another `pylon up` uses it.
    """
    lock = FolderLock(options.home, "another `pylon up`")
    with _os_errors_as_up_error(options):
        options.home.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_new_chain(options: UpOptions) -> bool:
    """Return whether the simulated chain is new, so that no state of it can exist."""
    if options.devnet_port is None or options.chain_folder.exists():
        return False
    if (options.state_folder / "nats").exists():
        logger.warning(
            "%s does not exist: removing its events and jobs",
            options.chain_folder,
        )
    return True


def prepare_home(options: UpOptions) -> None:
    """Write the files that the processes expect in the home, which must be locked."""
    if options.devnet_port is None:
        return
    with _os_errors_as_up_error(options):
        if options.fresh and options.chain_folder.exists():
            _clear_folder(options.chain_folder)
        devnet_identities.write_wallets(options.home)


def _clear_folder(folder: Path) -> None:
    """Delete the content of the state folder of a stopped devnet, except its lock."""
    lock = state_folder.StateFolderLock(folder)
    lock.acquire()
    try:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != state_folder.LOCK_FILE:
                path.unlink()
    finally:
        lock.release()
