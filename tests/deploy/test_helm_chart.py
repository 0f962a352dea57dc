"""The Helm chart renders the objects of the kustomize base."""

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from scripts.helm_chart import CHART, chart_files
from tests.support.k8s.helm import helm_template
from tests.support.k8s.kustomize import Manifest, render, variables, without_hash

K8S = Path(__file__).parents[2] / "deploy" / "k8s"
PRODUCTION = K8S / "overlays" / "production"
PAGE = Path(__file__).parents[2] / "docs" / "deployment" / "kubernetes.md"
IMAGE = "registry.example.com/pylon:0.1.0"
MINE: dict[str, Any] = {
    "bridge": {"maxReplicas": 20},
    **yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]),
}


def comparable(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Return the manifests by kind and name, without annotations and hashes that roll out pods."""
    found: dict[tuple[str, str], Manifest] = {}
    for manifest in copy.deepcopy(manifests):
        manifest["metadata"]["name"] = without_hash(manifest["metadata"]["name"])
        template = manifest["spec"].get("template") if "spec" in manifest else None
        if template:
            template["metadata"].pop("annotations", None)
            for container in template["spec"]["containers"]:
                container["image"] = {IMAGE: "pylon"}.get(container["image"], container["image"])
                for source in container["envFrom"]:
                    source["configMapRef"]["name"] = without_hash(source["configMapRef"]["name"])
        found[manifest["kind"], manifest["metadata"]["name"]] = manifest
    return found


def test_the_chart_is_current() -> None:
    written = {
        path.relative_to(CHART).as_posix(): path.read_text()
        for path in CHART.rglob("*")
        if path.is_file()
    }
    assert written == chart_files(), "it is out of date: run `nox -s documents`"


def test_the_chart_renders_the_objects_of_the_base() -> None:
    assert comparable(helm_template(CHART, {})) == comparable(render(K8S / "base"))


def test_values_reach_the_objects() -> None:
    found = comparable(helm_template(CHART, MINE))
    base = comparable(render(K8S / "base"))
    assert found.keys() - base.keys() == {("Ingress", "pylon")}
    (rule,) = found["Ingress", "pylon"]["spec"]["rules"]
    assert rule["host"] == MINE["ingress"]["host"]
    settings = base["ConfigMap", "pylon"]["data"] | MINE["settings"]
    assert found["ConfigMap", "pylon"]["data"] == settings
    assert found["ConfigMap", "pylon-callers"]["data"].keys() > MINE["callers"].keys()
    assert found["HorizontalPodAutoscaler", "pylon-bridge"]["spec"]["maxReplicas"] == 20
    volumes = found["StatefulSet", "pylon-signer"]["spec"]["template"]["spec"]["volumes"]
    (wallets,) = [one["secret"] for one in volumes if one["name"] == "wallets"]
    assert wallets["items"] == MINE["wallets"]
    # They are those of the production overlay.
    own = variables((PRODUCTION / "settings.env").read_text())
    assert own.keys() == MINE["settings"].keys()
    assert variables((PRODUCTION / "callers.env").read_text()) == MINE["callers"]
    for manifest in found.values():
        kubernetes_validate.validate(manifest, "1.32", strict=True)


def test_a_change_of_settings_rolls_out_the_pods_that_read_them() -> None:
    def pods(**values: Any) -> dict[str, Any]:
        return {
            one["metadata"]["name"]: one["spec"]["template"]
            for one in helm_template(CHART, values)
            if one["kind"] in {"Deployment", "StatefulSet"}
        }

    def rolled(**values: Any) -> set[str]:
        now = pods(**values)
        return {name for name, pod in pods().items() if now[name] != pod}

    assert rolled() == set()
    assert rolled(callers={"PYLON_ID_SN1_TOKEN_FILE": "/run/secrets/pylon/t"}) == {"pylon-bridge"}
    everything = {"pylon-bridge", "pylon-reader", "pylon-signer"}
    assert rolled(settings={"PYLON_LOG_LEVEL": "DEBUG"}) == everything


@pytest.mark.parametrize("values", [{}, MINE])
def test_helm_renders_the_same_objects(values: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("helm") is None:
        pytest.skip("helm is not installed: only the renderer of the tests was checked")
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    command = ["helm", "template", "pylon", str(CHART), "-f", str(file)]
    out = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    manifests = [manifest for manifest in yaml.safe_load_all(out) if manifest]
    assert comparable(manifests) == comparable(helm_template(CHART, values))
