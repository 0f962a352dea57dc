"""Which pods have which secrets, wallets and files of settings."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.k8s.kustomize import Manifest, render, without_hash
from tests.support.k8s.manifests import check, containers, folder_of, named, pods, settings_of


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
