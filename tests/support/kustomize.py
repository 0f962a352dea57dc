"""What `kubectl kustomize` makes of a folder, as far as this project uses it.

So that the manifests are checked on every machine; where kubectl is at hand, a test compares the
two.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
MERGE_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}
_KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "components", "patches", "images"),
    *("configMapGenerator", "secretGenerator", "generatorOptions"),
}
_WITHOUT_NAMESPACE = {"Namespace"}


def render(folder: Path, given: list[Manifest] | None = None) -> list[Manifest]:
    """The manifests of a kustomization; a component gets those that it changes."""
    rules: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(rules) <= _KNOWN, set(rules) - _KNOWN
    manifests = list(given or [])
    for name in rules.get("resources", []):
        path = (folder / name).resolve()
        manifests += render(path) if path.is_dir() else load(path)
    for name in rules.get("components", []):
        manifests = render((folder / name).resolve(), manifests)
    for behavior, manifest in _generated(folder, rules):
        manifests = _added(manifests, behavior, manifest)
    for patch in rules.get("patches", []):
        (change,) = load(folder / patch["path"]) if "path" in patch else [
            yaml.safe_load(patch["patch"])
        ]  # fmt: skip
        manifests = _patched(manifests, change)
    for manifest in manifests:
        if "namespace" in rules and manifest["kind"] not in _WITHOUT_NAMESPACE:
            manifest["metadata"]["namespace"] = rules["namespace"]
        for image in rules.get("images", []):
            _set_image(manifest, image)
    return manifests


def load(path: Path) -> list[Manifest]:
    """The manifests of a file."""
    return [manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest]


def _generated(folder: Path, rules: Mapping[str, Any]) -> list[tuple[str, Manifest]]:
    def is_bare(generator: Mapping[str, Any]) -> bool:
        options = {**rules.get("generatorOptions", {}), **generator.get("options", {})}
        return bool(options.get("disableNameSuffixHash"))

    made: list[tuple[str, Manifest]] = []
    for kind in ("ConfigMap", "Secret"):
        for generator in rules.get(f"{kind[0].lower()}{kind[1:]}Generator", []):
            assert is_bare(generator), "a name with a hash in it would have to be replaced all over"
            data = {name: (folder / name).read_text() for name in generator.get("files", [])}
            for name in generator.get("envs", []):
                data |= variables((folder / name).read_text())
            data |= dict(one.split("=", 1) for one in generator.get("literals", []))
            manifest: Manifest = {"apiVersion": "v1", "kind": kind}
            manifest["metadata"] = {"name": generator["name"]}
            if labels := generator.get("options", {}).get("labels"):
                manifest["metadata"]["labels"] = labels
            if kind == "Secret":
                manifest["type"] = "Opaque"
                data = {
                    name: base64.b64encode(text.encode()).decode() for name, text in data.items()
                }
            manifest["data"] = data
            made.append((generator.get("behavior", "create"), manifest))
    return made


def variables(text: str) -> dict[str, str]:
    """What a file of `NAME=value` lines says, to kustomize as to a container engine."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _added(manifests: list[Manifest], behavior: str, new: Manifest) -> list[Manifest]:
    same = [one for one in manifests if _identity(one) == _identity(new)]
    assert (behavior, len(same)) in {("create", 0), ("merge", 1)}, _identity(new)
    if behavior == "create":
        return [*manifests, new]
    return [_merged(one, new) if one is same[0] else one for one in manifests]


def _identity(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _patched(manifests: list[Manifest], change: Manifest) -> list[Manifest]:
    def is_meant(manifest: Manifest) -> bool:
        return _identity(manifest) == _identity(change)

    assert any(map(is_meant, manifests)), "the patch has no target"
    if change.get("$patch") == "delete":
        return [manifest for manifest in manifests if not is_meant(manifest)]
    return [_merged(manifest, change) if is_meant(manifest) else manifest for manifest in manifests]


def _merged(old: Manifest, new: Mapping[str, Any]) -> Manifest:
    result = dict(old)
    for name, value in new.items():
        if value is None:
            result.pop(name, None)
        elif name in MERGE_KEYS and name in result:
            result[name] = _merged_lists(result[name], value, MERGE_KEYS[name])
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = _merged(result[name], value)  # pyright: ignore[reportUnknownArgumentType] -- YAML
        else:
            result[name] = value
    return result


def _merged_lists(old: list[Manifest], new: list[Manifest], key: str) -> list[Manifest]:
    by_key = {item[key]: item for item in old}
    for item in new:
        by_key[item[key]] = _merged(by_key.get(item[key], {}), item)
    return list(by_key.values())


def _set_image(value: Any, image: Mapping[str, str]) -> None:
    if isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType] -- YAML
            _set_image(inner, image)
    elif isinstance(value, dict):
        if value.get("image") == image["name"]:  # pyright: ignore[reportUnknownMemberType] -- the same
            value["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
        for inner in value.values():  # pyright: ignore[reportUnknownVariableType] -- the same
            _set_image(inner, image)
