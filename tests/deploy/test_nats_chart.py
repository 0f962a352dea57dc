"""The values for the official NATS chart, and the manifests that it renders from them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.k8s.kustomize import render
from tests.support.k8s.nats_chart import VALUES, Chart, names_of

PRODUCTION = Path(__file__).parents[2] / "deploy" / "k8s" / "overlays" / "production"


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load((PRODUCTION / "nats-values.yaml").read_text())


def mounts(container: dict[str, Any]) -> dict[str, str]:
    return {one["mountPath"]: one["name"] for one in container["volumeMounts"]}


def test_the_chart_knows_every_value(values: dict[str, Any]) -> None:
    assert set(names_of(values)) <= VALUES
    values["config"]["clutser"] = {"enabled": True}
    values["natsBox"]["merge"] = {"replicas": 2}
    unknown = {"config.clutser.enabled", "natsBox.merge.replicas"}
    assert set(names_of(values)) - VALUES == unknown


def test_the_servers_keep_the_charts_own_mounts_beside_ours(values: dict[str, Any]) -> None:
    assert mounts(Chart(values).container) == {
        "/etc/nats-config": "config",
        "/var/run/nats": "pid",
        "/data": "nats-js",
        "/etc/nats-access": "access",
    }
    volumes = {volume["name"] for volume in Chart(values).pod["spec"]["volumes"]}
    assert volumes == {"config", "pid", "access"}


def test_a_merge_of_volume_mounts_replaces_the_charts_own(values: dict[str, Any]) -> None:
    added = values["container"].pop("patch")[0]["value"]
    values["container"]["merge"]["volumeMounts"] = [added]
    assert mounts(Chart(values).container) == {"/etc/nats-access": "access"}


def test_every_mount_has_its_volume(values: dict[str, Any]) -> None:
    chart = Chart(values)
    spec = chart.pod["spec"]
    available = {volume["name"] for volume in spec["volumes"]} | chart.claims
    for container in spec["containers"]:
        assert {mount["name"] for mount in container.get("volumeMounts", [])} <= available


def test_the_reloader_watches_the_users(values: dict[str, Any]) -> None:
    reloader = Chart(values).reloader
    assert "/etc/nats-access" in mounts(reloader)
    watched = reloader["args"][1::2]
    assert watched == ["/etc/nats-config/nats.conf", "/etc/nats-access/access.conf"]


def test_nats_pods_meet_the_restricted_standard_and_have_limits(values: dict[str, Any]) -> None:
    spec = Chart(values).pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


def test_a_server_has_time_to_move_its_clients(values: dict[str, Any]) -> None:
    lame_duck = [
        values["config"]["merge"][f"lame_duck_{part}"] for part in ("grace_period", "duration")
    ]
    handing_over_s = sum(int(text.removesuffix("s")) for text in lame_duck)
    ends_within_s = 20
    grace_s = Chart(values).pod["spec"]["terminationGracePeriodSeconds"]
    assert grace_s >= handing_over_s + ends_within_s


def test_the_network_policies_select_its_servers(values: dict[str, Any]) -> None:
    labels = Chart(values).pod["metadata"]["labels"]
    (policy,) = [
        one
        for one in render(PRODUCTION.parents[1] / "base")
        if (one["kind"], one["metadata"]["name"]) == ("NetworkPolicy", "nats")
    ]
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    ports = {port["name"]: port["containerPort"] for port in Chart(values).container["ports"]}
    assert allowed == {ports["nats"], ports["cluster"]}
