"""Reproducible random numbers."""

from random import Random


def seeded_random(seed: int, *scope: object) -> Random:
    """Return a generator that depends only on the seed and the scope."""
    name = ":".join(map(str, (seed, *scope)))
    return Random(name)  # noqa: S311 - simulation, not cryptography
