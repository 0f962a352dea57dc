"""Part `memory`: resident memory of the processes, compared with that of their imports."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Final

from bench.deployment import NEURONS_PATH, deployment
from bench.keep_alive import KeepAlive
from bench.measurement import Measurement
from bench.pairs import paired
from bench.processes import rss_mb
from bench.sizes import Run

BLOCK_TIME_S: Final = 2.0
READS: Final = 200
WORKER_IMPORTS: Final = "bittensor"
BRIDGE_IMPORTS: Final = "fastapi, nats, uvicorn"
_KB_PER_MB: Final = 1024


async def measure(run: Run) -> AsyncGenerator[Measurement]:
    """Yield the memory of a worker and of a bridge that have answered some reads."""
    run.report("memory")
    async with deployment(run.folder, block_time_s=BLOCK_TIME_S) as product:
        async with KeepAlive(product.url, NEURONS_PATH) as client:
            for _ in range(READS):
                await client.get()
        pids = {
            "worker": (product.worker_pid, WORKER_IMPORTS),
            "bridge": (product.bridges[0].pid, BRIDGE_IMPORTS),
        }
        for name, (pid, imports) in pids.items():
            ours_mb = rss_mb(pid)
            yield Measurement(
                f"memory-{name}",
                f"memory of a {name} after {READS} reads over REST",
                f"an interpreter that has imported {imports}",
                paired([(ours_mb, memory_of_import_mb(imports))]),
                "MB",
                costs={f"memory-{name}-mb": ours_mb},
            )


def memory_of_import_mb(imported: str) -> float:
    """Return the resident memory of an interpreter that has imported some packages, in MB."""
    code = (
        f"import {imported}\n"
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith('VmRSS:'): print(line.split()[1])"
    )
    return float(subprocess.check_output([sys.executable, "-c", code])) / _KB_PER_MB  # noqa: S603 -- this code
