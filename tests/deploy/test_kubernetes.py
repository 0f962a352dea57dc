"""The manifests as an API server would see them, without one."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from pylon.common.deployment_settings import IdentitySettings
from pylon.nats_server.server_limits import LIMITS
from pylon.wallets.addresses import resolve_address
from pylon.worker.main import JOBS_STOP_TIMEOUT_S
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.ss58 import is_address
from pylon_client.contract.types import HotkeyName, IdentityName, NetUid, WalletName
from pylon_devnet.dev_wallets import write_wallet
from tests.support.k8s.custom_resources import SCHEMAS
from tests.support.k8s.kustomize import Manifest, load, render, variables, without_hash
from tests.support.k8s.nats_chart import Chart

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
KUBERNETES = "1.32"
OVERLAYS = ["overlays/local", "overlays/production"]
OPTIONAL = ["keda", "sentry", "ingress", "gateway"]
WITH_ALL = "production with all components"
WORKLOADS = {"Deployment", "StatefulSet"}
SCALERS = {"HorizontalPodAutoscaler", "ScaledObject"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


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


@pytest.fixture(params=[*OVERLAYS, WITH_ALL])
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
        if name.endswith(("_TOKEN_FILE", "_PASSWORD_FILE", "_DSN_FILE")):
            assert value.startswith(("/run/secrets/pylon/", "/run/secrets/sentry/"))


def secrets_of(pod: dict[str, Any]) -> dict[str, set[str] | None]:
    """The Secrets that a pod mounts, and which of their keys; None for all."""
    volumes = pod["spec"]["volumes"]
    mounted = [volume["secret"] for volume in volumes if "secret" in volume]
    for volume in volumes:
        mounted += [one["secret"] for one in volume.get("projected", {}).get("sources", [])]
    found: dict[str, set[str] | None] = {}
    for one in mounted:
        name = without_hash(one.get("secretName") or one["name"])
        found[name] = {item["key"] for item in one["items"]} if "items" in one else None
    return found


def test_each_pod_has_only_the_secrets_that_it_needs(manifests: list[Manifest]) -> None:
    found = {name: secrets_of(pod) for name, pod in pods(manifests).items()}
    sentry: dict[str, set[str] | None] = (
        {"pylon-sentry": None} if "PYLON_SENTRY_DSN_FILE" in settings_of(manifests) else {}
    )
    own = {"pylon-bridge": "bridge", "pylon-reader": "reader", "pylon-signer": "worker"}
    for name, password in own.items():
        expected = {"pylon-nats": {f"nats-{password}-password"}, "pylon-metrics": None} | sentry
        if name == "pylon-bridge":
            expected["pylon-tokens"] = None
        # With the simulated chain they are made in the pod.
        wallets = found[name].pop("pylon-wallets", None)
        assert wallets is None or (name, wallets) == ("pylon-signer", {"sn1"})
        assert {key: found[name].get(key) for key in expected} == expected
        assert found[name].keys() == expected.keys()


def test_every_file_of_the_settings_is_mounted_where_it_is_read(manifests: list[Manifest]) -> None:
    data = {one["metadata"]["name"]: one.get("data", {}) for one in manifests}
    for pod in pods(manifests).values():
        keys = {
            key
            for name, chosen in secrets_of(pod).items()
            for key in chosen or KEYS_MADE_BY_HAND.get(name) or _keys_of(manifests, name)
        }
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            read = {one["name"]: one.get("value", "") for one in container.get("env", [])}
            for source in container.get("envFrom", []):
                read |= data[source["configMapRef"]["name"]]
            for name, path in read.items():
                if name.endswith("_FILE"):
                    assert Path(path).name in keys


KEYS_MADE_BY_HAND = {"pylon-sentry": {"sentry-dsn"}, "pylon-wallets": {"sn1"}}


def _keys_of(manifests: list[Manifest], name: str) -> set[str]:
    (secret,) = [
        one
        for one in manifests
        if (one["kind"], without_hash(one["metadata"]["name"])) == ("Secret", name)
    ]
    return set(secret["data"])


def test_a_change_of_settings_or_secrets_rolls_out_the_pods_that_read_them(tmp_path: Path) -> None:
    folder = folder_of("overlays/production", tmp_path)
    before = pods(render(folder))
    (folder / "secrets" / "id-sn1-token").write_text("another token")
    tokens_changed = pods(render(folder))
    assert [name for name in before if before[name] != tokens_changed[name]] == ["pylon-bridge"]
    with (folder / "settings.env").open("a") as file:
        file.write("PYLON_LOG_LEVEL=DEBUG\n")
    assert not [name for name, pod in pods(render(folder)).items() if pod == tokens_changed[name]]


def test_the_public_name_leads_to_the_bridge(tmp_path: Path) -> None:
    manifests = rendered(WITH_ALL, tmp_path)
    (service,) = [one for one in manifests if one["metadata"]["name"] == "pylon-bridge"][:1]
    assert service["kind"] == "Service"
    (port,) = service["spec"]["ports"]
    (ingress,) = [one["spec"] for one in manifests if one["kind"] == "Ingress"]
    ((path,),) = [rule["http"]["paths"] for rule in ingress["rules"]]
    assert path["backend"] == {"service": {"name": "pylon-bridge", "port": {"name": port["name"]}}}
    assert [one["hosts"] for one in ingress["tls"]] == [[one["host"]] for one in ingress["rules"]]
    (route,) = [one["spec"] for one in manifests if one["kind"] == "HTTPRoute"]
    ((backend,),) = [rule["backendRefs"] for rule in route["rules"]]
    assert backend == {"name": "pylon-bridge", "port": port["port"]}


def test_external_secrets_take_the_place_of_the_generated_ones(tmp_path: Path) -> None:
    folder = folder_of("overlays/production", tmp_path)
    made = {
        without_hash(one["metadata"]["name"]): set(one["data"])
        for one in render(folder)
        if one["kind"] == "Secret"
    }
    rules = yaml.safe_load((folder / "kustomization.yaml").read_text())
    del rules["secretGenerator"]
    rules["components"].append("../../components/external-secrets")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(rules))
    manifests = render(folder)
    external = [one for one in manifests if one["kind"] == "ExternalSecret"]
    for one in external:
        check(one)
        assert one["spec"]["target"]["name"] == one["metadata"]["name"]
    found = {
        one["metadata"]["name"]: {data["secretKey"] for data in one["spec"]["data"]}
        for one in external
    }
    assert found == made
    assert not named(manifests, "Secret")


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


def test_traffic_is_denied_unless_allowed(manifests: list[Manifest]) -> None:
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


def test_pods_may_query_the_clusters_dns_and_the_nodes_cache(
    manifests: list[Manifest],
) -> None:
    (dns,) = [one for one in manifests if one["metadata"]["name"] == "pylon-dns"]
    assert dns["spec"]["podSelector"] == {}
    (rule,) = dns["spec"]["egress"]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in rule["to"]
    assert {port["port"] for port in rule["ports"]} == {53}
    assert [one for one in rule["to"] if "podSelector" in one]


def test_errors_are_reported_where_pods_may_report_them(manifests: list[Manifest]) -> None:
    reports = [name for name in settings_of(manifests) if "SENTRY" in name]
    policies = [one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"]
    for name in ("pylon-bridge", "pylon-reader", "pylon-signer"):
        labels = pods(manifests)[name]["metadata"]["labels"]
        ports = {
            port["port"]
            for policy in policies
            if policy["podSelector"].get("matchLabels", {}).items() <= labels.items()
            for rule in policy.get("egress", [])
            if "to" not in rule
            for port in rule["ports"]
        }
        if reports:
            assert 443 in ports
        elif name == "pylon-bridge":
            assert not ports
    assert not reports or "PYLON_SENTRY_DSN_FILE" in reports


def test_writers_are_not_scaled(manifests: list[Manifest]) -> None:
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in manifests if one["kind"] in SCALERS]
    assert sorted(scaled) == ["pylon-bridge", "pylon-reader"]


def test_replica_counts_are_set_in_one_place(manifests: list[Manifest]) -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in manifests if one["kind"] in SCALERS}
    counted = {one["metadata"]["name"] for one in workloads(manifests) if "replicas" in one["spec"]}
    assert scaled | counted == pods(manifests).keys()
    assert not scaled & counted


def settings_of(manifests: list[Manifest]) -> dict[str, str]:
    (settings,) = [
        one["data"]
        for one in manifests
        if (one["kind"], without_hash(one["metadata"]["name"])) == ("ConfigMap", "pylon")
    ]
    return settings


def hosts_of(manifests: list[Manifest]) -> dict[str, set[int]]:
    """Return the names that a pod can resolve, and the ports that accept connections there."""
    services = {
        one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "Service"
    }
    found = {name: {port["port"] for port in spec["ports"]} for name, spec in services.items()}
    for one in workloads(manifests):
        governing = one["spec"].get("serviceName")
        if governing is not None:
            assert services[governing]["clusterIP"] == "None"
            for number in range(one["spec"]["replicas"]):
                host = f"{one['metadata']['name']}-{number}.{governing}"
                found[host] = found[governing]
    return found


def addresses_in(variables: dict[str, str]) -> set[tuple[str, int]]:
    urls = [part for value in variables.values() for part in value.split(",") if "://" in part]
    return {(str(urlsplit(url).hostname), int(urlsplit(url).port or 0)) for url in urls}


def test_every_address_belongs_to_an_existing_service(manifests: list[Manifest]) -> None:
    named = settings_of(manifests)
    for container in containers(manifests):
        named |= {one["name"]: one.get("value", "") for one in container.get("env", [])}
    there = hosts_of(manifests)
    if "nats" not in there:
        production = K8S / "overlays/production"
        there |= Chart(yaml.safe_load((production / "nats-values.yaml").read_text())).hosts
        named |= variables((production / "nats.env").read_text())
    addresses = addresses_in(named)
    assert {port for _, port in addresses} >= {4222, 6222}
    for host, port in addresses:
        assert port in there[host], f"nothing answers at {host}:{port}"


def test_readers_know_the_address_of_each_identity(manifests: list[Manifest]) -> None:
    settings = settings_of(manifests)
    names: list[str] = json.loads(settings["PYLON_IDENTITIES"])
    assert names
    for name in names:
        prefix = f"PYLON_ID_{name.upper().replace('-', '_')}_"
        assert int(settings[f"{prefix}NETUID"]) >= 0
        assert is_address(settings[f"{prefix}HOTKEY_SS58"])
    (reader,) = pods(manifests)["pylon-reader"]["spec"]["containers"]
    assert {"name": "PYLON_BITTENSOR_WALLET_PATH", "value": ""} in reader["env"]


def test_the_local_address_is_that_of_the_local_wallet(tmp_path: Path) -> None:
    settings = settings_of(render(K8S / "overlays/local"))
    wallet, hotkey = (settings[f"PYLON_ID_SN1_{part}_NAME"] for part in ("WALLET", "HOTKEY"))
    write_wallet(tmp_path, wallet, hotkey)
    identity = IdentitySettings.model_construct(
        name=IdentityName("sn1"),
        netuid=NetUid(1),
        wallet_name=WalletName(wallet),
        hotkey_name=HotkeyName(hotkey),
    )
    assert settings["PYLON_ID_SN1_HOTKEY_SS58"] == resolve_address(tmp_path, identity)


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
