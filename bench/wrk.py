"""Load from `wrk`, which is written in C, so that the generator is not what is measured."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

INSTALL: Final = "wrk is not on PATH; install it, on Debian with `apt-get install wrk`"
_FAILED: Final = (
    r"Non-2xx or 3xx responses: \d+|Socket errors: (?!connect 0, read 0, write 0,).*|unable to .*"
)
"""Texts of failures. A timeout, which is late by wrk's own opinion, is not one."""
_MS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}
_BYTES: Final = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


class LoadError(Exception):
    """The load could not be generated, or the server refused requests."""


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run.

    Attributes:
        requests: number of responses.
        per_s: responses per second.
        p99_ms: 99th percentile of the latency, in ms.
        bytes_read: bytes of all responses.
    """

    requests: int
    per_s: float
    p99_ms: float
    bytes_read: float


async def generate(
    url: str, connections: int, seconds: int, headers: Mapping[str, str] | None = None
) -> Load:
    """Request a URL over some connections for some seconds.

    Raises:
        LoadError: wrk is not installed, connections failed, or responses were errors.
    """
    program = shutil.which("wrk")
    if program is None:
        raise LoadError(INSTALL)
    options = [f"-H{name}: {value}" for name, value in (headers or {}).items()]
    process = await asyncio.create_subprocess_exec(
        *(program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *options, url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return parse(output.decode())


def parse(output: str) -> Load:
    """Return the figures of wrk's output.

    Raises:
        LoadError: connections failed, or responses were errors.
    """
    total = re.search(r"(\d+) requests in [\d.]+\w+, ([\d.]+)([KMG]?B) read", output)
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", output)
    failed = re.search(_FAILED, output)
    if failed is not None:
        raise LoadError(failed[0])
    if total is None or per_s is None or p99 is None:
        raise LoadError(f"wrk printed no result: {output!r}")
    return Load(
        requests=int(total[1]),
        per_s=float(per_s[1]),
        p99_ms=float(p99[1]) * _MS[p99[2]],
        bytes_read=float(total[2]) * _BYTES[total[3]],
    )
