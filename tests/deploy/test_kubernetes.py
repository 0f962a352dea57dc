"""The manifests as an API server would see them, without one."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from pylon.nats_server.server_limits import LIMITS
from pylon.worker.main import JOBS_STOP_TIMEOUT_S
from pylon.worker.settings import WorkerSettings
from tests.support.k8s.kustomize import Manifest, load, render
from tests.support.k8s.manifests import (
    K8S,
    OVERLAYS,
    ROOT,
    WITH_ALL,
    check,
    containers,
    folder_of,
    named,
    pods,
    rendered,
    settings_of,
    workloads,
)
from tests.support.k8s.nats_chart import Chart

SCALERS = {"HorizontalPodAutoscaler", "ScaledObject"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


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
        ("HTTPRoute", {"rule": []}),
    ],
)
def test_a_misspelt_key_is_detected(kind: str, wrong: dict[str, Any], tmp_path: Path) -> None:
    manifest = next(one for one in rendered(WITH_ALL, tmp_path) if one["kind"] == kind)
    manifest["spec"] |= wrong
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        check(manifest)


@pytest.mark.parametrize("overlay", [*OVERLAYS, WITH_ALL])
def test_kubectl_renders_the_same(overlay: str, tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: only the renderer of the tests was checked")
    folder = folder_of(overlay, tmp_path)
    out = subprocess.run(
        ["kubectl", "kustomize", str(folder)], check=True, capture_output=True, timeout=60
    ).stdout
    assert sorted_deep(list(yaml.safe_load_all(out))) == sorted_deep(render(folder))


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
        assert re.search(r"pylon:(local|[\d.]+)$|:[\d.]+-\w+@sha256:\w{64}$", container["image"])
    for pod in pods(manifests).values():
        (main,) = pod["spec"]["containers"]
        assert all(probe in main for probe in PROBES)
        assert pod["spec"]["terminationGracePeriodSeconds"]


def test_every_referenced_object_exists(manifests: list[Manifest]) -> None:
    made_by_hand = {"pylon-wallets", "pylon-sentry"}
    for pod in pods(manifests).values():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for volume in volumes.values():
            if "secret" in volume:
                assert volume["secret"]["secretName"] in named(manifests, "Secret") | made_by_hand
            for source in volume.get("projected", {}).get("sources", []):
                assert source["secret"]["name"] in named(manifests, "Secret")
            if "configMap" in volume:
                assert volume["configMap"]["name"] in named(manifests, "ConfigMap")


def test_every_mount_and_probe_refers_to_something_that_exists(manifests: list[Manifest]) -> None:
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


def test_selectors_and_targets_match_their_objects(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
        if workload["kind"] == "StatefulSet":
            assert workload["spec"]["serviceName"] in named(manifests, "Service")
    for manifest in manifests:
        if manifest["kind"] in SCALERS:
            assert manifest["spec"]["scaleTargetRef"]["name"] in pods(manifests)


def test_replicas_run_on_different_nodes_if_there_are_enough(
    manifests: list[Manifest],
) -> None:
    for name, pod in pods(manifests).items():
        if name in {"pylon-signer", "nats"}:
            (term,) = pod["spec"]["affinity"]["podAntiAffinity"][
                "preferredDuringSchedulingIgnoredDuringExecution"
            ]
            labels = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
            assert labels.items() <= pod["metadata"]["labels"].items()
        elif name != "devnet":
            (spread,) = pod["spec"]["topologySpreadConstraints"]
            assert (
                spread["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
            )


def test_nodes_can_be_drained_and_rollouts_wait(manifests: list[Manifest]) -> None:
    budgets = [one["spec"] for one in manifests if one["kind"] == "PodDisruptionBudget"]
    assert len(budgets) >= 3
    assert {one["unhealthyPodEvictionPolicy"] for one in budgets} == {"AlwaysAllow"}
    for one in workloads(manifests):
        if one["metadata"]["name"].startswith("pylon-"):
            assert one["spec"]["minReadySeconds"] > 0


def test_writers_are_not_scaled(manifests: list[Manifest]) -> None:
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in manifests if one["kind"] in SCALERS]
    assert sorted(scaled) == ["pylon-bridge", "pylon-reader"]


def test_replica_counts_are_set_in_one_place(manifests: list[Manifest]) -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in manifests if one["kind"] in SCALERS}
    counted = {one["metadata"]["name"] for one in workloads(manifests) if "replicas" in one["spec"]}
    assert scaled | counted == pods(manifests).keys()
    assert not scaled & counted


def test_pods_have_time_for_a_graceful_shutdown(manifests: list[Manifest]) -> None:
    specs = {name: pod["spec"] for name, pod in pods(manifests).items()}
    (bridge,) = specs["pylon-bridge"]["containers"]
    environment = {one["name"]: one["value"] for one in bridge["env"]}
    ending_s = int(environment["PYLON_BRIDGE_GRACEFUL_SHUTDOWN_SECONDS"])
    drains_s = int(environment["PYLON_BRIDGE_DRAIN_SECONDS"])
    assert drains_s >= 10  # until no endpoint names it any more
    ending_s += drains_s
    assert specs["pylon-bridge"]["terminationGracePeriodSeconds"] > ending_s
    drain_s = WorkerSettings.model_fields["drain_timeout_seconds"].default
    assert specs["pylon-reader"]["terminationGracePeriodSeconds"] > drain_s
    assert specs["pylon-signer"]["terminationGracePeriodSeconds"] > drain_s + JOBS_STOP_TIMEOUT_S


def test_workers_end_before_they_would_be_killed_for_their_memory(
    manifests: list[Manifest],
) -> None:
    for name in ("pylon-reader", "pylon-signer"):
        (worker,) = pods(manifests)[name]["spec"]["containers"]
        environment = {one["name"]: one["value"] for one in worker["env"]}
        limit = worker["resources"]["limits"]["memory"]
        assert limit.endswith("Gi")
        allowed_mib = 1024 * int(limit.removesuffix("Gi"))
        assert 0.8 < int(environment["PYLON_WORKER_MEMORY_LIMIT_MIB"]) / allowed_mib < 0.95


def test_the_cluster_runs_the_projects_nats_conf(tmp_path: Path) -> None:
    assert (K8S / "components/nats/nats.conf").read_text() == (ROOT / "nats.conf").read_text()
    values = yaml.safe_load((K8S / "overlays/production/nats-values.yaml").read_text())
    ours = (ROOT / "nats.conf").read_text()
    for name in (*LIMITS, "sync_interval", "lame_duck_grace_period", "lame_duck_duration"):
        (wanted,) = re.findall(rf"^ *{name}: (.*)$", ours, re.MULTILINE)
        (got,) = re.findall(rf'^ *"{name}": (.*?),?$', Chart(values).conf, re.MULTILINE)
        assert got.strip('"') == wanted
    replicas = settings_of(rendered("overlays/production", tmp_path))["PYLON_NATS_STREAM_REPLICAS"]
    assert int(replicas) == values["config"]["cluster"]["replicas"]


def test_the_operators_rules_are_the_alerts() -> None:
    (rule,) = load(ROOT / "deploy/observe/prometheus-rule.yaml")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/observe/alerts.yaml").read_text())
