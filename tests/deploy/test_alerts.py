"""Each alert fires for its fault, and not in a healthy deployment."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.k8s.alert_rules import NAMES, run_tests, series
from tests.support.k8s.healthy_series import STEP_S, STEPS, healthy_series

CASES: dict[str, list[dict[str, Any]]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
}


@pytest.mark.parametrize("about", CASES)
def test_alerts_fire_for_their_faults_alone(about: str, tmp_path: Path) -> None:
    run_tests(tmp_path, CASES[about])


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    checks = [
        check for cases in CASES.values() for case in cases for check in case["alert_rule_test"]
    ]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    is_silent = {check["alertname"] for check in checks if not check.get("exp_alerts")}
    assert fires == set(NAMES)
    assert is_silent == set(NAMES)


def fired(**case: Any) -> dict[str, Any]:
    """Return a test case that expects that no alert fires at any time."""
    end_s = STEPS * STEP_S
    ever = f'count_over_time(ALERTS{{alertstate="firing"}}[{end_s}s])'
    query = {"expr": ever, "eval_time": f"{end_s}s", "exp_samples": []}
    return {"interval": f"{STEP_S}s", "promql_expr_test": [query], **case}


def test_no_alert_fires_in_three_hours_of_a_healthy_deployment(tmp_path: Path) -> None:
    run_tests(tmp_path, [fired(input_series=healthy_series())])


def test_an_alert_that_fired_is_detected(tmp_path: Path) -> None:
    check = {"eval_time": "10m", "alertname": "PylonWorkersDown"}
    with pytest.raises(AssertionError, match="PylonWorkersDown"):
        run_tests(tmp_path, [{"interval": "1m", "input_series": [], "alert_rule_test": [check]}])
    # Also an alert that fired only for a while.
    place = {"component": "worker"}
    signer = series("pylon_build_info", [1] * STEPS, role="signer", **place)
    away = (None if 100 <= step < 120 else 1 for step in range(STEPS))
    reader = series("pylon_build_info", away, role="reader", **place)
    with pytest.raises(AssertionError, match="PylonReadersDown"):
        run_tests(tmp_path, [fired(input_series=[signer, reader])])


def test_renamed_metrics_are_recorded_under_their_old_names(tmp_path: Path) -> None:
    place = {"instance": "worker"}
    values = {"pylon_publisher_leader": 1, "pylon_weights_deadline_blocks": 20}
    expected = {"pylon_publishing": 1, "pylon_window_blocks_left": 20}
    checks = [
        {
            "expr": old,
            "eval_time": "5m",
            "exp_samples": [{"labels": f'{old}{{instance="worker"}}', "value": value}],
        }
        for old, value in expected.items()
    ]
    inputs = [series(name, [value] * 20, **place) for name, value in values.items()]
    run_tests(tmp_path, [{"interval": "1m", "input_series": inputs, "promql_expr_test": checks}])
