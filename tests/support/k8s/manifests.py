"""The rendered manifests, and the parts of them that tests read."""

import shutil
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.support.k8s.custom_resources import SCHEMAS
from tests.support.k8s.kustomize import Manifest, render, without_hash

ROOT = Path(__file__).parents[3]
K8S = ROOT / "deploy" / "k8s"
KUBERNETES = "1.32"
OVERLAYS = ["overlays/local", "overlays/production"]
OPTIONAL = ["keda", "sentry", "ingress", "gateway"]
WITH_ALL = "production with all components"
WORKLOADS = {"Deployment", "StatefulSet"}


def folder_of(overlay: str, tmp_path: Path) -> Path:
    """A folder to render; that of production has the secrets that the page has operators make."""
    if overlay == "overlays/local":
        return K8S / overlay
    copied = tmp_path / "deploy"
    if not copied.exists():
        # The local overlay has tokens, which are looked for in what tests leave behind.
        shutil.copytree(ROOT / "deploy", copied, ignore=shutil.ignore_patterns("local"))
    production = copied / "k8s" / "overlays" / "production"
    rules = yaml.safe_load((production / "kustomization.yaml").read_text())
    for file in (file for one in rules["secretGenerator"] for file in one["files"]):
        (production / file).parent.mkdir(exist_ok=True)
        (production / file).write_text(f"of {file}\n")
    if overlay == WITH_ALL:
        rules["components"] += [f"../../components/{name}" for name in OPTIONAL]
        (production / "kustomization.yaml").write_text(yaml.safe_dump(rules))
    return production


def rendered(overlay: str, tmp_path: Path) -> list[Manifest]:
    return render(folder_of(overlay, tmp_path))


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in WORKLOADS]


def pods(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one["spec"]["template"] for one in workloads(manifests)}


def containers(manifests: list[Manifest]) -> list[dict[str, Any]]:
    return [
        container
        for pod in pods(manifests).values()
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    ]


def named(manifests: list[Manifest], kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in manifests if one["kind"] == kind}


def check(manifest: Manifest) -> None:
    """Raise when a manifest is not what its kind's schema says; there is one for every kind."""
    if (schema := SCHEMAS.get((manifest["apiVersion"], manifest["kind"]))) is not None:
        jsonschema.validate(manifest, schema)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def settings_of(manifests: list[Manifest]) -> dict[str, str]:
    (settings,) = [
        one["data"]
        for one in manifests
        if (one["kind"], without_hash(one["metadata"]["name"])) == ("ConfigMap", "pylon")
    ]
    return settings
