"""The dashboard and the alerts query existing metrics in valid PromQL."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from bridge.http_metrics import BridgeMetrics
from bridge.metrics_page import merge_pages
from pylon.worker.metrics import WorkerMetrics
from scripts.prometheus_rule import prometheus_rule
from tests.support.k8s.prometheus import prometheus_binary

ROOT = Path(__file__).parents[2]
OBSERVE = ROOT / "deploy" / "observe"
DASHBOARD = json.loads((OBSERVE / "dashboard.json").read_text())
ALL_RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((OBSERVE / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
RULES = [rule for rule in ALL_RULES if "alert" in rule]
OLD_NAMES = {rule["record"]: rule["expr"] for rule in ALL_RULES if "record" in rule}
_GRAFANA = {"$__rate_interval": "5m"}
# Of Prometheus itself, and of the exporter that the NATS chart runs beside each server.
_FOREIGN = {
    "up": {"job", "instance"},
    "nats_server_total_message_bytes": {"server_name"},
    "nats_server_max_storage": {"server_name"},
}


def expressions() -> list[str]:
    panels: list[dict[str, Any]] = [*DASHBOARD["panels"]]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return queries + [rule["expr"] for rule in ALL_RULES]


def parsed(expression: str) -> Any:
    for variable, value in _GRAFANA.items():
        expression = expression.replace(variable, value)
    return promql_parser.parse(expression)


def selectors(node: Any) -> Iterator[Any]:
    """Yield every metric selector in a PromQL expression, at any depth."""
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
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral() | None:
            return
        case _:
            yield from selectors(node.expr)


def samples_of(metrics: Iterable[Any]) -> dict[str, set[str]]:
    """Return the names of the exposed metrics, and the labels of each."""
    labels_by_name: dict[str, set[str]] = {}
    for family in metrics:
        suffixes = {
            "counter": ["_total"],
            "histogram": ["_bucket", "_count", "_sum"],
            "info": ["_info"],
        }.get(family.type, [""])
        for suffix in suffixes:
            labels_by_name[family.name + suffix] = {
                label for sample in family.samples for label in sample.labels
            }
    return labels_by_name


def in_code() -> dict[str, set[str]]:
    return {
        **samples_of(WorkerMetrics().registry.collect()),
        **samples_of(BridgeMetrics().registry.collect()),
        **_FOREIGN,
    }


def test_expressions_are_found() -> None:
    assert len(expressions()) > 30


@pytest.mark.parametrize("expression", expressions())
def test_every_queried_metric_exists(expression: str) -> None:
    metrics = {selector.name for selector in selectors(parsed(expression))}
    assert metrics
    assert metrics <= set(in_code())


def test_renamed_metrics_keep_their_old_names_as_recording_rules() -> None:
    assert OLD_NAMES == {
        "pylon_publishing": "pylon_publisher_leader",
        "pylon_service_requests_in_hand": "pylon_service_requests_in_progress",
        "pylon_service_turned_away_total": "pylon_service_requests_rejected_total",
        "pylon_window_blocks_left": "pylon_weights_deadline_blocks",
    }
    assert not set(OLD_NAMES) & set(in_code())


def test_no_metric_of_ours_is_missing_in_the_dashboard() -> None:
    shown = {
        selector.name for expression in expressions() for selector in selectors(parsed(expression))
    }
    ours = {name for name in in_code() if name.startswith("pylon_")}
    families = {_family(name) for name in shown}
    assert {name for name in ours if _family(name) not in families} == set()


@pytest.mark.parametrize("wrong", ["sum(", "rate(pylon_requests_total)", "a b"])
def test_invalid_promql_is_detected(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parsed(wrong)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_describes_the_problem_and_the_remedy(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_panels_have_unique_ids_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    cells = Counter(cell for panel in panels for cell in cells_of(panel["gridPos"]))
    assert max(cells.values()) == 1


def cells_of(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_each_alert_names_its_section_of_the_runbook() -> None:
    """A section for each alert, an alert for each section, and the link between them."""
    runbook = ROOT / "docs" / "runbook.md"
    alerts = re.findall(r"^### (\w+)$", runbook.read_text(), re.MULTILINE)
    assert sorted(alerts) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        link = f"{runbook.relative_to(ROOT)}#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == link


@pytest.mark.parametrize("label", ["Meaning", "Check", "Do", "Meanwhile"])
def test_each_section_of_the_runbook_has_the_same_labels(label: str) -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    without = [one.split("\n")[0] for one in sections if f"**{label}.** " not in one]
    assert without == []


def test_the_operators_rules_are_those_of_the_file() -> None:
    assert (OBSERVE / "prometheus-rule.yaml").read_text() == prometheus_rule()


@pytest.mark.parametrize(
    "path", sorted(OBSERVE.glob("prometheus*.yaml")), ids=lambda path: path.name
)
def test_promtool_accepts_the_files(path: Path, tmp_path: Path) -> None:
    if path.name == "prometheus-rule.yaml":
        path, command = OBSERVE / "alerts.yaml", ["check", "rules"]
    else:
        command = ["check", "config"]
    shutil.copytree(OBSERVE, tmp_path / "observe")
    (tmp_path / "observe" / "metrics-token").write_text("token")
    done = subprocess.run(
        [prometheus_binary("promtool"), *command, path.name],
        cwd=tmp_path / "observe",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_metrics_page_of_both_processes() -> None:
    page = merge_pages(BridgeMetrics().text().decode(), WorkerMetrics().text().decode())
    done = subprocess.run(
        [prometheus_binary("promtool"), "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_jobs_are_named_as_the_alerts_expect() -> None:
    named = {
        job["job_name"]
        for name in ("prometheus.yaml", "prometheus-compose.yaml")
        for job in yaml.safe_load((OBSERVE / name).read_text())["scrape_configs"]
    }
    assert named == {"pylon-bridge", "pylon-reader", "pylon-signer"}
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    assert {name.removeprefix("pylon-") for name in named} <= set(services)
    monitors = yaml.safe_load_all(
        (ROOT / "deploy/k8s/components/monitoring/monitors.yaml").read_text()
    )
    (relabeling,) = next(one for one in monitors if one["kind"] == "PodMonitor")["spec"][
        "podMetricsEndpoints"
    ][0]["relabelings"]
    assert (relabeling["targetLabel"], relabeling["replacement"]) == ("job", "pylon-$1")


def _family(name: str) -> str:
    for suffix in ("_bucket", "_count", "_sum"):
        name = name.removesuffix(suffix)
    return name
