import json
from pathlib import Path

from bench.capacity import table
from bench.report import rows
from bench.results import read_results


def _written(path: Path, *ratios: tuple[str, float, bool]) -> Path:
    lines = [
        json.dumps(
            {
                "name": name,
                "what": "A",
                "compared_with": "bare",
                "ratio": ratio,
                "ours": 2.0 * ratio,
                "reference": 2.0,
                "unit": "ms",
                "target": "ratio ≤ 1",
                "meets_target": is_met,
                "costs": {},
            }
        )
        for name, ratio, is_met in ratios
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_two_runs_are_put_side_by_side(tmp_path: Path) -> None:
    before = read_results(_written(tmp_path / "before", ("a", 5.0, False), ("b", 3.0, False)))
    after = read_results(_written(tmp_path / "after", ("a", 0.5, True)))
    assert table(rows(before, after)).splitlines()[2:] == [
        "| `a`: A | bare | ratio ≤ 1 ✓ | **5.00** (10.0 / 2.00 ms) | **0.5** (1.00 / 2.00 ms) |",
        "| `b`: A | bare | ratio ≤ 1 | **3.00** (6.00 / 2.00 ms) |  |",
    ]


def test_the_last_of_equal_names_counts(tmp_path: Path) -> None:
    found = read_results(_written(tmp_path / "both", ("a", 5.0, False), ("a", 1.0, True)))
    assert found["a"]["ratio"] == 1.0
