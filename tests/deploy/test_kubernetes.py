"""The manifests as an API server would see them, without one."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.custom_resources import SCHEMAS
from tests.support.kustomize import Manifest, load, render

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
KUBERNETES = "1.32"
OVERLAYS = ["overlays/local", "overlays/production"]
WORKLOADS = {"Deployment", "StatefulSet"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def rendered(overlay: str, tmp_path: Path) -> list[Manifest]:
    if overlay != "with KEDA":
        return render(K8S / overlay)
    rules = {
        "resources": [str(K8S / "overlays/production")],
        "components": [str(K8S / "components/keda")],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(rules))
    return render(tmp_path)


@pytest.fixture(params=[*OVERLAYS, "with KEDA"])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[Manifest]:
    return rendered(request.param, tmp_path)


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


def test_every_manifest_is_valid(manifests: list[Manifest]) -> None:
    assert len(manifests) > 20
    for manifest in manifests:
        check(manifest)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("Deployment", {"livenesProbe": {}}),
        ("ServiceMonitor", {"endpoint": []}),
        ("PodMonitor", {"podMetricsEndpoint": []}),
        ("PrometheusRule", {"group": []}),
        ("ScaledObject", {"trigger": []}),
    ],
)
def test_a_misspelt_key_would_be_seen(kind: str, wrong: dict[str, Any], tmp_path: Path) -> None:
    manifest = next(one for one in rendered("with KEDA", tmp_path) if one["kind"] == kind)
    manifest["spec"] |= wrong
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        check(manifest)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_renders_the_same(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: only the renderer of the tests was checked")
    out = subprocess.run(
        ["kubectl", "kustomize", str(K8S / overlay)], check=True, capture_output=True, timeout=60
    ).stdout
    assert sorted_deep(list(yaml.safe_load_all(out))) == sorted_deep(render(K8S / overlay))


def sorted_deep(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(sorted_deep, value), key=repr)  # pyright: ignore[reportUnknownArgumentType] -- YAML
    if isinstance(value, dict):
        return {name: sorted_deep(value[name]) for name in sorted(value)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- YAML
    return value


def test_pods_meet_the_restricted_standard(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert not any("hostPath" in volume for volume in spec["volumes"])
    for container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    (namespace,) = [one for one in manifests if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_containers_are_bounded_and_probed(manifests: list[Manifest]) -> None:
    for container in containers(manifests):
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]
        assert ":" in container["image"]
        assert not container["image"].endswith(":latest")
    for pod in pods(manifests).values():
        (main,) = pod["spec"]["containers"]
        assert all(probe in main for probe in PROBES)
        assert pod["spec"]["terminationGracePeriodSeconds"]


def test_everything_that_is_named_is_there(manifests: list[Manifest]) -> None:
    made_by_hand = {"pylon-tokens", "pylon-wallets"}
    for pod in pods(manifests).values():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for volume in volumes.values():
            if "secret" in volume:
                assert volume["secret"]["secretName"] in named(manifests, "Secret") | made_by_hand
            if "configMap" in volume:
                assert volume["configMap"]["name"] in named(manifests, "ConfigMap")


def test_every_mount_and_probe_finds_its_end(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        pod = workload["spec"]["template"]
        claims = workload["spec"].get("volumeClaimTemplates", [])
        available = {volume["name"] for volume in pod["spec"]["volumes"]}
        available |= {claim["metadata"]["name"] for claim in claims}
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= available
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in PROBES:
                action = container.get(probe, {})
                for way in ("httpGet", "tcpSocket"):
                    assert way not in action or action[way]["port"] in ports


def test_selectors_and_targets_meet_what_they_mean(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
        if workload["kind"] == "StatefulSet":
            assert workload["spec"]["serviceName"] in named(manifests, "Service")
    for manifest in manifests:
        if manifest["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}:
            assert manifest["spec"]["scaleTargetRef"]["name"] in pods(manifests)


def test_only_the_signer_has_wallets(manifests: list[Manifest]) -> None:
    with_wallets = {
        name
        for name, pod in pods(manifests).items()
        for volume in pod["spec"]["volumes"]
        if volume["name"] == "wallets"
    }
    assert with_wallets == {"pylon-signer"}


def test_no_secret_is_a_variable(manifests: list[Manifest]) -> None:
    settings = [one["data"] for one in manifests if one["kind"] == "ConfigMap"]
    variables = {name: value for data in settings for name, value in data.items()}
    for container in containers(manifests):
        variables |= {one["name"]: one.get("value", "") for one in container.get("env", [])}
    for name, value in variables.items():
        if name.endswith(("_TOKEN", "_PASSWORD", "_DSN")):
            assert value == ""
        if name.endswith(("_TOKEN_FILE", "_PASSWORD_FILE")):
            assert value.startswith("/run/secrets/pylon/")


def test_what_is_not_allowed_is_denied(manifests: list[Manifest]) -> None:
    policies = {one["metadata"]["name"]: one for one in manifests if one["kind"] == "NetworkPolicy"}
    deny = policies["pylon-default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    signer = pods(manifests)["pylon-signer"]["metadata"]["labels"]
    bridge = pods(manifests)["pylon-bridge"]["metadata"]["labels"]
    assert "pylon.dev/chain-client" in signer
    assert "pylon.dev/chain-client" not in bridge
    (client, route) = policies["nats"]["spec"]["ingress"]
    assert client["ports"] == [{"protocol": "TCP", "port": 4222}]
    assert route["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "nats"}}}]


def test_writers_are_not_scaled(manifests: list[Manifest]) -> None:
    scaled = [
        one["spec"]["scaleTargetRef"]["name"]
        for one in manifests
        if one["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}
    ]
    assert sorted(scaled) == ["pylon-bridge", "pylon-reader"]


def test_the_cluster_runs_the_projects_nats_conf() -> None:
    assert (K8S / "components/nats/nats.conf").read_text() == (ROOT / "nats.conf").read_text()
    values = yaml.safe_load((K8S / "overlays/production/nats-values.yaml").read_text())["config"]
    assert values["merge"]["max_payload"] == 8_388_608
    assert values["jetstream"]["merge"] == {"sync_interval": "always"}
    assert values["cluster"] == {"enabled": True, "replicas": 3}


def test_the_operators_rules_are_the_alerts() -> None:
    (rule,) = load(ROOT / "deploy/observe/prometheus-rule.yaml")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/observe/alerts.yaml").read_text())
