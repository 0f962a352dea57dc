"""Results of `python -m bench --json`, one object a line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]


class MissingCostError(Exception):
    """A unit cost was not measured."""


def read_results(path: Path) -> dict[str, Result]:
    """Return the results of a file by name; of equal names the last counts."""
    objects = (json.loads(line) for line in path.read_text().splitlines() if line.strip())
    return {found["name"]: found for found in objects}


class Costs:
    """Unit costs of the product, from the results of one run.

    Args:
        results: the results by name. A part measures a cost at several sizes; the last one,
            which is the largest, counts.
    """

    def __init__(self, results: Mapping[str, Result]) -> None:
        self._costs: dict[str, float] = {}
        for found in results.values():
            self._costs.update(found["costs"])

    def __getitem__(self, name: str) -> float:
        """Return a cost.

        Raises:
            MissingCostError: no measurement has this cost.
        """
        try:
            return self._costs[name]
        except KeyError:
            part = name.partition("-")[0]
            text = f"the cost {name} is missing: run `python -m bench --json --only {part}`"
            raise MissingCostError(text) from None
