"""Names, addresses and traffic within the cluster."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from pylon.common.deployment_settings import IdentitySettings
from pylon.wallets.addresses import resolve_address
from pylon_client.contract.ss58 import is_address
from pylon_client.contract.types import HotkeyName, IdentityName, NetUid, WalletName
from pylon_devnet.dev_wallets import write_wallet
from tests.support.k8s.kustomize import Manifest, render, variables
from tests.support.k8s.manifests import (
    K8S,
    WITH_ALL,
    containers,
    pods,
    rendered,
    settings_of,
    workloads,
)
from tests.support.k8s.nats_chart import Chart


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
