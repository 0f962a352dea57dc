"""`python -m bench`: measure, and print one line for each ratio."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import (
    accepted_writes,
    devnet,
    fan_out,
    import_time,
    memory,
    nats_reads,
    network,
    polling,
    rest,
)
from bench.measurement import Measurement, environment
from bench.sizes import FULL, QUICK, Run, Sizes

PARTS: Final[Mapping[str, Callable[[Run], AsyncGenerator[Measurement]]]] = {
    "rest": rest.measure,
    "nats": nats_reads.measure,
    "subscribers": fan_out.measure,
    "writes": accepted_writes.measure,
    "network": network.measure,
    "memory": memory.measure,
    "capacity": polling.measure,
    "import": import_time.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen parts; return 1 if one failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures what Pylon costs against the bare parts that it is made of, and "
        "prints one line for each ratio; docs/performance.md explains them.",
    )
    names = list(PARTS)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="measure these")
    parser.add_argument("--list", action="store_true", help="print the names of the parts")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer turns")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    alone = parser.add_subparsers(dest="part").add_parser(
        "devnet", help="the simulated chain alone: requests, memory, and the pace of its blocks"
    )
    alone.add_argument(
        "--seconds", type=float, default=30.0, help="how long the pace is watched (default: 30)"
    )
    chosen = parser.parse_args(argv)
    if chosen.list:
        for name in names:
            sys.stdout.write(f"{name:<14}{(sys.modules[PARTS[name].__module__].__doc__ or '')}\n")
        return 0
    if chosen.part == "devnet":
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(devnet.run(Path(folder), chosen.seconds))
        return 0
    return run_parts(chosen.only or names, QUICK if chosen.quick else FULL, as_json=chosen.json)


def run_parts(names: Sequence[str], sizes: Sizes, *, as_json: bool) -> int:
    """Run some parts; a part that fails does not end the others.

    Returns:
        1 if a part failed, else 0.
    """
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                asyncio.run(_run_part(name, Run(Path(folder), sizes), as_json=as_json))
            except Exception as error:  # noqa: BLE001 -- the other parts are still measured
                sys.stderr.write(f"{name}: failed: {type(error).__name__}: {error}\n")
                failed = 1
    return failed


async def _run_part(name: str, run: Run, *, as_json: bool) -> None:
    async for measurement in PARTS[name](run):
        line = measurement.as_line()
        if as_json:
            line = json.dumps(measurement.as_object(environment()))
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
