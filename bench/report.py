"""`python -m bench.report BEFORE.json [AFTER.json]`: two runs as a table in Markdown."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.capacity import Row, table
from bench.measurement import number
from bench.results import Result, read_results


def rows(before: Mapping[str, Result], after: Mapping[str, Result]) -> Iterator[Row]:
    """Yield the table; a measurement that one run lacks has an empty cell."""
    yield "measurement", "compared with", "target", "before", "after"
    for name in dict.fromkeys([*before, *after]):
        known = after.get(name) or before[name]
        target = str(known["target"] or "")
        if target and after.get(name):
            target += " ✓" if known["meets_target"] else " ✗"
        cells = [_cell(results.get(name)) for results in (before, after)]
        yield f"`{name}`: {known['what']}", known["compared_with"], target, *cells


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    values = f"{number(result['ours'])} / {number(result['reference'])} {result['unit']}"
    return f"**{number(result['ratio'])}** ({values})"


def main() -> None:
    """Print the table."""
    before, *after = (read_results(Path(argument)) for argument in sys.argv[1:])
    sys.stdout.write(table(rows(before, after[0] if after else {})) + "\n")


if __name__ == "__main__":
    main()
