import json

import pytest

from bench.measurement import Measurement, Target, environment, number
from bench.pairs import Pair


@pytest.mark.parametrize(
    ("target", "is_met", "text"),
    [
        (Target(0.8, at_least=True), True, "ratio ≥ 0.8"),
        (Target(0.95, at_least=True), False, "ratio ≥ 0.95"),
        (Target(1.5), True, "ratio ≤ 1.5"),
        (Target(0.5), False, "ratio ≤ 0.5"),
        (Target(50, of_ours=True), True, "ours ≤ 50"),
        (Target(40, of_ours=True), False, "ours ≤ 40"),
    ],
)
def test_targets(target: Target, *, is_met: bool, text: str) -> None:
    assert target.is_met_by(Pair(ours=45, bare=50, ratio=0.9)) is is_met
    assert str(target) == text


def test_an_object_has_the_documented_fields() -> None:
    measured = Measurement("a", "A", "B", Pair(2.0, 4.0, 0.5), "ms", Target(1), {"cost": 3.0})
    found = json.loads(json.dumps(measured.as_object(environment())))
    assert set(found.pop("environment")) >= {"cores", "cpu", "python", "commit", "load_average"}
    assert found == {
        "name": "a",
        "what": "A",
        "compared_with": "B",
        "ratio": 0.5,
        "ours": 2.0,
        "reference": 4.0,
        "unit": "ms",
        "target": "ratio ≤ 1",
        "meets_target": True,
        "costs": {"cost": 3.0},
    }


def test_a_line_names_the_target() -> None:
    measured = Measurement("a", "A", "B", Pair(2.0, 4.0, 0.5), "ms", Target(0.4))
    assert measured.as_line().endswith("ratio ≤ 0.4: missed")
    assert measured.as_line().split()[:5] == ["a", "0.5", "2.00", "/", "4.00"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.0123")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
