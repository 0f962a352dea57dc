"""Write `deploy/observe/prometheus-rule.yaml`, the rules of `alerts.yaml` for the operator.

python scripts/prometheus_rule.py
"""

from pathlib import Path
from textwrap import indent
from typing import Final

OBSERVE: Final = Path(__file__).parents[1] / "deploy" / "observe"
_HEAD: Final = """\
# The rules of alerts.yaml for the Prometheus operator; scripts/prometheus_rule.py writes this file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: pylon
  labels: {app.kubernetes.io/name: pylon}
spec:
"""


def prometheus_rule() -> str:
    """Return the resource as it is in `deploy/observe`."""
    rules = (OBSERVE / "alerts.yaml").read_text()
    return _HEAD + indent(rules[rules.index("groups:") :], "  ")


if __name__ == "__main__":
    (OBSERVE / "prometheus-rule.yaml").write_text(prometheus_rule())
