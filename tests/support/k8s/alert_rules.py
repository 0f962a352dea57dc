"""The alert rules of `deploy/observe`, run by promtool on artificial series."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.k8s.prometheus import prometheus_binary

ALERTS = Path(__file__).parents[3] / "deploy" / "observe" / "alerts.yaml"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
NAMES = [rule["alert"] for rule in RULES]
EVALUATION_S = 30
PROMTOOL_TIMEOUT_S = 300


def series(name: str, values: Iterable[float | None], **labels: str) -> dict[str, str]:
    """Return an input series of promtool; None is a time without the process."""
    shown = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    # Prometheus marks a series as stale when its target does not answer.
    texts = ["stale" if value is None else f"{value:.12g}" for value in values]
    return {"series": f"{name}{{{shown}}}", "values": " ".join(texts)}


def run_tests(folder: Path, tests: Sequence[Mapping[str, Any]]) -> None:
    """Run tests in promtool's format; fail with promtool's output.

    Annotations are left out of the rules: promtool would ask for each of them word by word.
    """
    promtool = prometheus_binary("promtool")
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    for group in groups:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    (folder / "tests.yaml").write_text(
        yaml.safe_dump(
            {
                "rule_files": ["rules.yaml"],
                "evaluation_interval": f"{EVALUATION_S}s",
                "tests": list(tests),
            }
        )
    )
    done = subprocess.run(
        [promtool, "test", "rules", "tests.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PROMTOOL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
