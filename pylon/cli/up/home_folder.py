"""The home folder of `pylon up`: whose it is, who holds it, and what is prepared in it."""

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

log = logging.getLogger(__name__)

RUNTIME_CACHE = "runtime-cache"
HOME_ENTRIES = (
    *("nats", "devnet", devnet_identities.WALLETS_FOLDER, RUNTIME_CACHE),
    *(LOCK_FILE, SETTINGS_FILE, HEADER_FILE),
)
"""What a home holds; files of the user beside these are left alone."""


@contextlib.contextmanager
def _os_errors_as_up_error(options: UpOptions) -> Generator[None]:
    """Raise an error of the operating system as UpError, with what to do."""
    try:
        yield
    except OSError as error:
        raise UpError(
            f"{options.home} cannot be used ({error.strerror}); choose another --home (PYLON_HOME)"
        ) from None


def require_home_access(options: UpOptions) -> None:
    """Look whose the home is, and all that a tree has written into it before."""
    with _os_errors_as_up_error(options):
        require_path_access(options.home)
        require_access(options.home / name for name in HOME_ENTRIES)


@contextlib.contextmanager
def lock_home(options: UpOptions) -> Generator[None]:
    """Hold the home within the block.

    Raises:
        UpError: it cannot be used, or another `pylon up` uses it.
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
    """Return whether the simulated chain is a new one, of which no state can be."""
    if options.devnet_port is None or options.chain_folder.exists():
        return False
    if (options.state_folder / "nats").exists():
        log.warning(
            "%s is gone: what was published of it, and its jobs, are removed too",
            options.chain_folder,
        )
    return True


def prepare_home(options: UpOptions) -> None:
    """Write what the processes find in the home; for whoever holds the lock of the state."""
    if options.devnet_port is None:
        return
    with _os_errors_as_up_error(options):
        if options.fresh and options.chain_folder.exists():
            _clear_folder(options.chain_folder)
        devnet_identities.write_wallets(options.home)


def _clear_folder(folder: Path) -> None:
    """Delete what is in the folder of a devnet that nothing runs in, but for its lock."""
    lock = FolderLock(folder, "another devnet")
    lock.acquire()
    try:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK_FILE:
                path.unlink()
    finally:
        lock.release()
