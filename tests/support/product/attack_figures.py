"""Figures of a run of attacks: the requests of honest callers, and the memory of the processes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

FLOODS: Final = frozenset({"flood over NATS", "flood over HTTP"})
SUCCESS_MIN: Final = 0.99
P99_MAX_S: Final = 2.0
GROWTH_MAX: Final = 1.15
GROWTH_MAX_MB: Final = 24.0
"""Maximum growth of a process from the middle of the run to its end: the factor, or MB."""


@dataclass
class Phase:
    """The requests of honest callers during one kind of attack, or between two attacks.

    Attributes:
        latencies_s: latencies of successful requests, by kind.
        failures: number of failed requests, by kind and reason.
        lags: published blocks behind the chain, as seen by a listener, once per second.
    """

    latencies_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    lags: list[int] = field(default_factory=list[int])

    def add(self, other: "Phase") -> None:
        """Add the figures of another phase."""
        for kind, latencies_s in other.latencies_s.items():
            self.latencies_s[kind] += latencies_s
        self.failures.update(other.failures)
        self.lags += other.lags

    def of(self, *, reads: bool) -> tuple[list[float], int]:
        """Return the latencies and the number of failures of reads, or of writes."""
        latencies_s = [
            one
            for kind, found in self.latencies_s.items()
            if kind.startswith("read") is reads
            for one in found
        ]
        failed = sum(
            count for (kind, _), count in self.failures.items() if kind.startswith("read") is reads
        )
        return latencies_s, failed


@dataclass
class AttackFigures:
    """The results of a run.

    Attributes:
        phases: by the name of the attack; "quiet" between attacks.
        memory_mb: memory of each process at the end of each round.
        cached_mb: size of the worker's read cache, which is bounded, at these moments.
        restarted: processes with another pid than at the start.
        restarts_of_parts: restarts of the worker's parts, by part.
        missed_blocks: blocks that the honest listener did not receive.
        rounds: number of runs of each attack.
        seconds: duration of the run.
    """

    phases: defaultdict[str, Phase] = field(default_factory=lambda: defaultdict(Phase))
    memory_mb: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cached_mb: list[float] = field(default_factory=list[float])
    restarted: list[str] = field(default_factory=list[str])
    restarts_of_parts: dict[str, float] = field(default_factory=dict[str, float])
    missed_blocks: int = 0
    rounds: int = 0
    seconds: float = 0.0

    @property
    def calm(self) -> Phase:
        """Return all phases except the floods."""
        return self._without(FLOODS)

    @property
    def settled(self) -> Phase:
        """Return all phases except floods, and the times after floods with their backlog."""
        return self._without(FLOODS | {after(name) for name in FLOODS})

    def _without(self, names: Collection[str]) -> Phase:
        together = Phase()
        for name, phase in self.phases.items():
            if name not in names:
                together.add(phase)
        return together

    @property
    def restarts(self) -> list[str]:
        """Return everything that was restarted."""
        parts = [f"part {name}: {count:g}" for name, count in self.restarts_of_parts.items()]
        return self.restarted + [
            text
            for text, count in zip(parts, self.restarts_of_parts.values(), strict=True)
            if count
        ]

    @property
    def growth(self) -> list[str]:
        """Return the processes that used much more memory at the end than in the middle."""
        found: list[str] = []
        for name, sizes in self.memory_mb.items():
            middle, last = sizes[len(sizes) // 2], sizes[-1]
            if last > max(middle * GROWTH_MAX, middle + GROWTH_MAX_MB):
                found.append(f"{name}: {middle:.0f} to {last:.0f} MB")
        return found

    def misses(self) -> list[str]:
        """Return the targets that were missed."""
        found: list[str] = []
        calm = self.calm
        latencies_s, failed = calm.of(reads=True)
        success = share(latencies_s, failed)
        if success < SUCCESS_MIN:
            found.append(f"honest reads outside floods: {success:.2%} succeeded")
        if percentile(latencies_s, 99) > P99_MAX_S:
            found.append(f"honest reads outside floods: p99 {percentile(latencies_s, 99):.2f} s")
        found += [f"restarted: {what}" for what in self.restarts]
        found += [f"grown: {what}" for what in self.growth]
        if self.missed_blocks:
            found.append(f"{self.missed_blocks} blocks missed")
        return found

    def report(self) -> str:
        """Return the figures as lines."""
        lines = [f"{self.rounds} rounds in {self.seconds:.0f} s"]
        lines.append(
            f"{'phase':22}{'reads':>8}{'success':>9}{'p50 s':>8}{'p99 s':>8}{'max s':>8}"
            f"{'writes':>8}{'success':>9}{'p99 s':>8}{'lag p50':>9}{'lag max':>9}"
        )
        lines += [_line(name, phase) for name, phase in self.phases.items()]
        lines.append(_line("all but floods", self.calm))
        lines.append(_line("and the time after", self.settled))
        for name, phase in self.phases.items():
            lines += [
                f"  {name}: {count} times {kind}: {why}"
                for (kind, why), count in phase.failures.most_common(6)
            ]
        for name, phase in self.phases.items():
            lines += [
                f"  {name}: {kind}: p99 {percentile(latencies_s, 99):.2f} s"
                for kind, latencies_s in phase.latencies_s.items()
                if percentile(latencies_s, 99) > P99_MAX_S / 2
            ]
        for name, sizes in self.memory_mb.items():
            lines.append(f"{name:14} MB by round: " + " ".join(f"{mb:.0f}" for mb in sizes))
        lines.append(
            "cache of reads MB by round: " + " ".join(f"{mb:.0f}" for mb in self.cached_mb)
        )
        lines.append(f"restarts: {', '.join(self.restarts) or 'none'}")
        lines.append(f"blocks missed by the listener: {self.missed_blocks}")
        lines += [f"MISSED: {miss}" for miss in self.misses()] or ["all targets are reached"]
        return "\n".join(lines)


def _line(name: str, phase: Phase) -> str:
    reads, failed = phase.of(reads=True)
    writes, failed_writes = phase.of(reads=False)
    return (
        f"{name:22}{len(reads) + failed:>8}{share(reads, failed):>9.2%}"
        f"{percentile(reads, 50):>8.3f}{percentile(reads, 99):>8.3f}{percentile(reads, 100):>8.2f}"
        f"{len(writes) + failed_writes:>8}{share(writes, failed_writes):>9.2%}"
        f"{percentile(writes, 99):>8.3f}{percentile(phase.lags, 50):>9.0f}"
        f"{percentile(phase.lags, 100):>9.0f}"
    )


def after(name: str) -> str:
    """Return the name of the phase after a flood."""
    return f"after {name}"


def share(succeeded: Sequence[float], failed: int) -> float:
    """Return the share of requests that succeeded; 1 without any request."""
    total = len(succeeded) + failed
    return len(succeeded) / total if total else 1.0


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile of some values; 0 without any value."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
