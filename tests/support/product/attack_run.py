"""Run all attacks on the whole product, one after the other, while honest callers send requests.

    python -m tests.support.product.attack_run --minutes 25

The command prints the results of the honest callers and the memory of the processes. The exit code
is 1 if a target of `tests/support/product/attack_figures.py` is missed.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bench.processes import rss_mb
from pylon_devnet.population import hotkey
from tests.support.product.attack_figures import FLOODS, AttackFigures, after
from tests.support.product.attacks import Attacker
from tests.support.product.honest_callers import HonestCallers
from tests.support.product.http_client import http_client
from tests.support.product.product import processes_under
from tests.support.product.self_hosted_product import (
    METRICS_TOKEN,
    SelfHostedProduct,
    self_hosted_product,
)

TIMEOUT_S: Final = 10.0
RESTARTS: Final = "pylon_worker_part_restarts_total"
CACHE_BYTES: Final = "pylon_read_cache_bytes"
_KINDS: Final = {"nats-server": "nats-server", "bridge": r"-m bridge", "worker": r"pylon worker"}


def parts_of(product: SelfHostedProduct) -> dict[str, int]:
    """Return the processes of the product, by their role."""
    found = {"pylon up": product.pid}
    for pid, command in processes_under(product.pid).items():
        kind = next((kind for kind, text in _KINDS.items() if re.search(text, command)), command)
        found[kind] = pid
    return found


async def _samples(product: SelfHostedProduct, name: str) -> list[Sample]:
    """Return the values of a metric of the worker."""
    async with http_client() as http:
        headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        text = (await http.get(f"{product.worker_url}/metrics", headers=headers)).text
    families = text_string_to_metric_families(text)
    return [one for family in families for one in family.samples if one.name == name]


async def restarts_of_parts(product: SelfHostedProduct) -> dict[str, float]:
    """Return how often each part of the worker was restarted."""
    return {one.labels["part"]: one.value for one in await _samples(product, RESTARTS)}


async def _measure_memory(product: SelfHostedProduct, figures: AttackFigures) -> None:
    """Record the memory of each process; the worker's bounded cache is recorded separately."""
    cached_mb = sum(one.value for one in await _samples(product, CACHE_BYTES)) / 2**20
    for name, pid in parts_of(product).items():
        is_cached = name == "worker"
        figures.memory_mb[name].append(rss_mb(pid) - (cached_mb if is_cached else 0.0))
    figures.memory_mb["devnet"].append(rss_mb(product.devnet.pid))
    figures.cached_mb.append(cached_mb)


async def attack(
    folder: Path,
    *,
    seconds: float,
    attack_s: float,
    quiet_s: float,
    timeout_s: float = TIMEOUT_S,
    report: Callable[[str], object] = lambda _: None,
) -> AttackFigures:
    """Run every attack at least once, in rounds, until the time is over.

    Args:
        folder: an empty folder.
        seconds: no round begins after this time.
        attack_s: duration of each attack.
        quiet_s: pause after each attack.
        timeout_s: response timeout of an honest caller.
        report: called with a line about the progress now and then.
    """
    figures = AttackFigures()
    async with self_hosted_product(folder, PYLON_OPEN_ACCESS_TOKEN="") as product:
        began_s = time.monotonic()
        before = parts_of(product)
        attacker = Attacker(product, [hotkey(12, 1), hotkey(12, 2)])
        neurons = [hotkey(2, 1), hotkey(2, 2)]
        honest = HonestCallers(product, figures, neurons, timeout_s=timeout_s)
        async with honest.running():
            await asyncio.sleep(quiet_s)
            while not figures.rounds or time.monotonic() - began_s < seconds:
                for name, work in attacker.by_name.items():
                    honest.phase = name
                    await _for(attack_s, work())
                    honest.phase = after(name) if name in FLOODS else "quiet"
                    await asyncio.sleep(quiet_s)
                figures.rounds += 1
                await _measure_memory(product, figures)
                figures.seconds = time.monotonic() - began_s
                report(figures.report())
        at_end = parts_of(product)
        figures.restarted = [name for name, pid in before.items() if at_end.get(name) != pid]
        figures.restarts_of_parts = await restarts_of_parts(product)
        figures.seconds = time.monotonic() - began_s
    return figures


async def _for(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Run an attack for a while; an attack must not end by itself."""
    attacking = asyncio.create_task(work)
    done, _ = await asyncio.wait({attacking}, timeout=seconds)
    attacking.cancel()
    with suppress(asyncio.CancelledError):
        await attacking
    if done:
        raise AssertionError("the attack has ended by itself")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()


def main() -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--attack-s", type=float, default=10.0)
    parser.add_argument("--quiet-s", type=float, default=4.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(
            attack(
                Path(folder),
                seconds=arguments.minutes * 60,
                attack_s=arguments.attack_s,
                quiet_s=arguments.quiet_s,
                report=_print,
            )
        )
    _print(figures.report())
    return 1 if figures.misses() else 0


if __name__ == "__main__":
    sys.exit(main())
