"""Write `deploy/helm/pylon`: a Helm chart of the objects of the kustomize base.

The templates are the base's own files, in which values take the place of what operators set, so
that the two cannot differ; `tests/deploy/test_helm_chart.py` compares what they render.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
K8S: Final = ROOT / "deploy" / "k8s"
CHART: Final = ROOT / "deploy" / "helm" / "pylon"
Changes = tuple[tuple[str, str], ...]

_IMAGE: Final = '"{{ .Values.image.repository }}:{{ .Values.image.tag }}"'
_POD: Final = "  template:\n    metadata:\n"
_ROLLED: Final = f"""\
{_POD}      annotations:
        checksum/settings: {{{{ toYaml .Values.settings | sha256sum }}}}
"""
_CALLERS: Final = "        checksum/callers: {{ toYaml .Values.callers | sha256sum }}\n"
_WALLETS: Final = """\
          secret:
            secretName: {{ .Values.secrets.wallets }}
            defaultMode: 0440
            {{- with .Values.wallets }}
            items:
              {{- toYaml . | nindent 14 }}
            {{- end }}
"""
_OF_INGRESS_NGINX: Final = """\
    # For ingress-nginx: no buffering and a long read timeout, because of event streams.
    nginx.ingress.kubernetes.io/proxy-buffering: "off"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
"""
_SETTINGS: Final = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  labels: {{app.kubernetes.io/name: pylon}}
data:
  {{{{- toYaml .Values.{values} | nindent 2 }}}}
"""


def _workload(name: str, requests: str, limit: str) -> Changes:
    """Return what differs in the template of a workload, given the resources of the base."""
    own = f"            requests: {{{requests}}}\n            limits: {{memory: {limit}}}\n"
    resources = f"            {{{{- toYaml .Values.{name}.resources | nindent 12 }}}}\n"
    return (
        (_POD, _ROLLED),
        ("image: pylon\n", f"image: {_IMAGE}\n"),
        (own, resources),
        ("{name: pylon-metrics}", "{name: {{ .Values.secrets.metrics }}}"),
        ("name: pylon-nats\n", "name: {{ .Values.secrets.nats }}\n"),
    )


def _scaled(name: str, most: int) -> Changes:
    return (
        ("minReplicas: 2\n", f"minReplicas: {{{{ .Values.{name}.minReplicas }}}}\n"),
        (f"maxReplicas: {most}\n", f"maxReplicas: {{{{ .Values.{name}.maxReplicas }}}}\n"),
    )


def _worker(name: str) -> Changes:
    before = 'PYLON_WORKER_MEMORY_LIMIT_MIB, value: "896"'
    after = f"PYLON_WORKER_MEMORY_LIMIT_MIB, value: {{{{ .Values.{name}.memoryLimitMib | quote }}}}"
    return ((before, after), *_workload(name, "cpu: 100m, memory: 384Mi", "1Gi"))


_TEMPLATES: Final[dict[str, Changes]] = {
    "base/bridge.yaml": (
        *_workload("bridge", "cpu: 100m, memory: 128Mi", "512Mi"),
        *_scaled("bridge", 10),
        (_ROLLED, _ROLLED + _CALLERS),
        ("{name: pylon-tokens}", "{name: {{ .Values.secrets.tokens }}}"),
    ),
    "base/reader.yaml": (*_worker("reader"), *_scaled("reader", 6)),
    "base/signer.yaml": (
        *_worker("signer"),
        ("  replicas: 2\n", "  replicas: {{ .Values.signer.replicas }}\n"),
        ("          secret: {secretName: pylon-wallets, defaultMode: 0440}\n", _WALLETS),
    ),
    "base/network-policies.yaml": (),
    "components/ingress/ingress.yaml": (
        ("apiVersion", "{{- if .Values.ingress.enabled }}\napiVersion"),
        (_OF_INGRESS_NGINX, "    {{- toYaml .Values.ingress.annotations | nindent 4 }}\n"),
        ("ingressClassName: nginx", "ingressClassName: {{ .Values.ingress.className }}"),
        (
            "{hosts: [pylon.example.com], secretName: pylon-tls}",
            "{hosts: [{{ .Values.ingress.host }}], secretName: {{ .Values.ingress.tlsSecret }}}",
        ),
        ("host: pylon.example.com", "host: {{ .Values.ingress.host }}"),
        ("port: {name: http}\n", "port: {name: http}\n{{- end }}\n"),
    ),
}

_VALUES: Final = """\
# Values of the chart. Create the secrets below first, as docs/deployment/kubernetes.md describes.
# NATS has a separate chart.
image:
  repository: registry.example.com/pylon
  tag: "{version}"

# Settings of every process: docs/settings.md. Set those of the network and of each identity.
settings:
{settings}
# Tokens of callers, for the bridge: files of the Secret `tokens`, such as
# PYLON_ID_SN1_TOKEN_FILE: /run/secrets/pylon/id-sn1-token
callers:
{callers}
secrets:
  tokens: pylon-tokens
  metrics: pylon-metrics
  nats: pylon-nats
  wallets: pylon-wallets

# The path of each hotkey in the wallet folder, such as {{key: sn1, path: sn1/hotkeys/default}}.
wallets: []

bridge:
  minReplicas: 2
  maxReplicas: 10
  resources:
    requests: {{cpu: 100m, memory: 128Mi}}
    limits: {{memory: 512Mi}}

# memoryLimitMib is below the memory limit: a worker stops gracefully before it would be killed.
reader:
  minReplicas: 2
  maxReplicas: 6
  memoryLimitMib: 896
  resources:
    requests: {{cpu: 100m, memory: 384Mi}}
    limits: {{memory: 1Gi}}

signer:
  replicas: 2
  memoryLimitMib: 896
  resources:
    requests: {{cpu: 100m, memory: 384Mi}}
    limits: {{memory: 1Gi}}

ingress:
  enabled: false
  className: nginx
  host: pylon.example.com
  tlsSecret: pylon-tls
  # For ingress-nginx: no buffering and a long read timeout, because of event streams.
  annotations:
    nginx.ingress.kubernetes.io/proxy-buffering: "off"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
"""


def chart_files() -> dict[str, str]:
    """Return the chart's files by their paths in it."""
    number = version("pylon-service")
    about: dict[str, Any] = {
        "apiVersion": "v2",
        "name": "pylon",
        "description": "A gateway between Bittensor validators, miners and the chain.",
        "type": "application",
        "version": number,
        "appVersion": number,
        "kubeVersion": ">=1.30.0-0",
    }
    files = {
        "Chart.yaml": yaml.safe_dump(about, sort_keys=False),
        "values.yaml": _VALUES.format(
            version=number,
            settings=_mapping(K8S / "base" / "settings.env"),
            callers=_mapping(K8S / "base" / "callers.env"),
        ),
        "templates/settings.yaml": "---\n".join(
            _SETTINGS.format(name=name, values=values)
            for name, values in (("pylon", "settings"), ("pylon-callers", "callers"))
        ),
    }
    for path, changes in _TEMPLATES.items():
        text = (K8S / path).read_text()
        for before, after in changes:
            if before not in text:
                raise LookupError(f"{path} has no {before!r} that a value could take the place of")
            text = text.replace(before, after)
        files[f"templates/{Path(path).name}"] = text
    return files


def _mapping(path: Path) -> str:
    """Return a file of variables as lines of a YAML mapping."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    pairs = [line.split("=", 1) for line in lines]
    return "".join(f'  {name}: "{value}"\n' for name, value in pairs)


def main() -> None:
    """Write the chart."""
    for name, text in chart_files().items():
        path = CHART / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
