"""The dashboard and the alerts ask for metrics that the code has, in PromQL that parses."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from bridge.metrics import BridgeMetrics
from pylon.observe.metrics import WorkerMetrics

OBSERVE = Path(__file__).parents[2] / "deploy" / "observe"
DASHBOARD = json.loads((OBSERVE / "dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((OBSERVE / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
_GRAFANA = {"$__rate_interval": "5m"}


def expressions() -> list[str]:
    panels: list[dict[str, Any]] = [*DASHBOARD["panels"]]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return asked + [rule["expr"] for rule in RULES]


def parsed(expression: str) -> Any:
    for variable, value in _GRAFANA.items():
        expression = expression.replace(variable, value)
    return promql_parser.parse(expression)


def selectors(node: Any) -> Iterator[Any]:
    """Every selector of metrics in a PromQL expression, wherever it stands."""
    match node:
        case promql_parser.VectorSelector():
            yield node
        case promql_parser.MatrixSelector():
            yield node.vector_selector
        case promql_parser.BinaryExpr():
            yield from selectors(node.lhs)
            yield from selectors(node.rhs)
        case promql_parser.Call():
            for argument in node.args:
                yield from selectors(argument)
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return
        case _:
            yield from selectors(node.expr)


def samples_of(metrics: Iterable[Any]) -> dict[str, set[str]]:
    """The names under which metrics are told, and the labels of each."""
    told: dict[str, set[str]] = {}
    for family in metrics:
        suffixes = {
            "counter": ["_total"],
            "histogram": ["_bucket", "_count", "_sum"],
            "info": ["_info"],
        }.get(family.type, [""])
        for suffix in suffixes:
            told[family.name + suffix] = {
                label for sample in family.samples for label in sample.labels
            }
    return told


def in_code() -> dict[str, set[str]]:
    return {
        **samples_of(WorkerMetrics().registry.collect()),
        **samples_of(BridgeMetrics().registry.collect()),
    }


def test_there_is_something_to_check() -> None:
    assert len(expressions()) > 30


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_that_is_asked_for_exists(expression: str) -> None:
    asked = {selector.name for selector in selectors(parsed(expression))}
    assert asked
    assert asked <= set(in_code())


def test_no_metric_of_ours_is_missing_in_the_dashboard() -> None:
    shown = {
        selector.name for expression in expressions() for selector in selectors(parsed(expression))
    }
    ours = {name for name in in_code() if name.startswith("pylon_")}
    families = {_family(name) for name in shown}
    assert {name for name in ours if _family(name) not in families} == set()


@pytest.mark.parametrize("wrong", ["sum(", "rate(pylon_requests_total)", "a b"])
def test_promql_that_is_none_would_be_seen(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parsed(wrong)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_says_what_is_the_matter_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_panels_differ_and_fit() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def _family(name: str) -> str:
    for suffix in ("_bucket", "_count", "_sum"):
        name = name.removesuffix(suffix)
    return name
