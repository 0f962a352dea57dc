"""Chance that is the same every time."""

from random import Random


def seeded_random(seed: int, *scope: object) -> Random:
    """A generator that depends on the seed and on what it is for, and on nothing else."""
    name = ":".join(map(str, (seed, *scope)))
    return Random(name)  # noqa: S311 - it plays subnets, it guards nothing
