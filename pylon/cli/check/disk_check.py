"""Check the free space for JetStream's streams, if they are on a disk of this machine."""

import shutil
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pylon.cli.check.findings import Finding, failure, ok
from pylon.nats_server.embedded_process import listening_port

MIN_FREE_BYTES: Final = 2**30
"""Free bytes below which the disk counts as full: less than a large deployment needs per day."""
_STATE_FOLDERS: Final = ("", "devnet")
"""Folders of the home with the state of `pylon up`: of a real chain and of the simulated chain."""


def check_disk(nats_urls: list[str], home: Path) -> Finding:
    """Check that the disk has room for the streams; disks of other machines are not checked.

    Args:
        nats_urls: URLs of the NATS servers.
        home: home of `pylon up`.
    """
    local = [parts for url in nats_urls if _is_loopback((parts := urlsplit(url)).hostname)]
    if not local:
        places = ", ".join(str(urlsplit(url).hostname) for url in nats_urls)
        return ok("disk", f"not measured: NATS at {places} keeps the streams on its own disks")
    ports = {parts.port for parts in local}
    for state in _STATE_FOLDERS:
        folder = home / state / "nats"
        if listening_port(folder / "ports") in ports:
            return _free_space(folder / "jetstream", "where NATS keeps the streams")
    return _free_space(
        home, "for `pylon up`; the disk of a NATS that it does not run is not measured"
    )


def _free_space(folder: Path, contents: str) -> Finding:
    folder = folder.absolute()
    existing_folder = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        free = shutil.disk_usage(existing_folder).free
    except OSError as error:
        return failure("disk", f"{folder} cannot be read ({error.strerror})", "correct PYLON_HOME")
    text = f"{free / 2**30:.1f} GiB free in {folder}, {contents}"
    if free < MIN_FREE_BYTES:
        return failure("disk", text, "make room on its disk")
    return ok("disk", text)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
