"""Render a folder as `kubectl kustomize` does, limited to the features that this project uses.

Tests can thus check the manifests without kubectl. If kubectl is installed, a test compares both.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
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
    *("configMapGenerator", "secretGenerator", "generatorOptions", "configurations"),
}
_HASHED = "hashed"
"""Key of a generated manifest whose name gets a hash of its content, until it has it."""
_REFERENCES: Mapping[str, tuple[str, str]] = {
    "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"),
    "secretRef": ("Secret", "name"),
    "secretKeyRef": ("Secret", "name"),
}
"""Keys below which a generated object is named."""
_WITHOUT_NAMESPACE = {"Namespace"}


def render(folder: Path) -> list[Manifest]:
    """Return the manifests of a kustomization."""
    return _with_hashes(_rendered(folder))


def without_hash(name: str) -> str:
    """Return a name without the hash that may have been appended to it."""
    base, _, end = name.rpartition("-")
    return base if len(end) == len(_digest(b"")) and set(end) <= set(_HASH_LETTERS) else name


def _rendered(folder: Path, initial: list[Manifest] | None = None) -> list[Manifest]:
    """Return manifests without hashes in names; a component changes those of `initial`."""
    rules: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(rules) <= _KNOWN, set(rules) - _KNOWN
    manifests = list(initial or [])
    for name in rules.get("resources", []):
        path = (folder / name).resolve()
        manifests += _rendered(path) if path.is_dir() else load(path)
    for name in rules.get("components", []):
        manifests = _rendered((folder / name).resolve(), manifests)
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
    """Return the manifests of a file."""
    return [manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest]


def _generated(folder: Path, rules: Mapping[str, Any]) -> list[tuple[str, Manifest]]:
    def is_bare(generator: Mapping[str, Any]) -> bool:
        options = {**rules.get("generatorOptions", {}), **generator.get("options", {})}
        return bool(options.get("disableNameSuffixHash"))

    made: list[tuple[str, Manifest]] = []
    for kind in ("ConfigMap", "Secret"):
        for generator in rules.get(f"{kind[0].lower()}{kind[1:]}Generator", []):
            files = [Path(name) for name in generator.get("files", [])]
            data = {path.name: (folder / path).read_text() for path in files}
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
            if not is_bare(generator):
                manifest[_HASHED] = True
            made.append((generator.get("behavior", "create"), manifest))
    return made


def variables(text: str) -> dict[str, str]:
    """Parse lines of `NAME=value`, as kustomize and container engines do."""
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


_HASH_LETTERS = "0123456789bcdefghkmt"


def _with_hashes(manifests: list[Manifest]) -> list[Manifest]:
    """Append hashes to the names of generated manifests, there and where they are referred to."""
    names: dict[tuple[str, str], str] = {}
    for manifest in manifests:
        if manifest.pop(_HASHED, False):
            kind, name = _identity(manifest)
            # Kustomize hashes an object with an empty name.
            content = {"kind": kind, "name": "", "data": manifest["data"]}
            if kind == "Secret":
                content["type"] = manifest["type"]
            # As Go writes JSON.
            text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            for letter in "<>&":
                text = text.replace(letter, f"\\u{ord(letter):04x}")
            names[kind, name] = manifest["metadata"]["name"] = f"{name}-{_digest(text.encode())}"
    for holder, key, kind in _references(manifests):
        holder[key] = names.get((kind, holder[key]), holder[key])
    return manifests


def _digest(content: bytes) -> str:
    """Return a hash in kustomize's alphabet."""
    letters = hashlib.sha256(content).hexdigest()[:10]
    return letters.translate(str.maketrans("013ae", "ghkmt"))


def _references(value: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield references to ConfigMaps and Secrets: the containing map, the key, and the kind."""
    if isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType] -- YAML
            yield from _references(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType] -- the same
            if name in _REFERENCES and isinstance(inner, dict) and "name" in inner:
                kind, key = _REFERENCES[name]
                yield inner, key, kind
            elif name in {"secret", "credentials"} and isinstance(inner, dict):
                key = "secretName" if "secretName" in inner else "name"
                if key in inner:
                    yield inner, key, "Secret"
            yield from _references(inner)
