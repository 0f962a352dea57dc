"""Render the project's chart as `helm template` does, limited to what its templates use.

Of Go's templates it supports `{{ .Values.x }}`, `.`, `toYaml`, `nindent`, `quote`, `sha256sum`, and
the blocks `if` and `with`; anything else is refused. If Helm is installed, a test compares both.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.k8s.kustomize import Manifest

_ACTION = re.compile(r"(\s*)\{\{(-?)\s+(.*?)\s+(-?)\}\}(\s*)", re.DOTALL)


def helm_template(chart: Path, values: Mapping[str, Any]) -> list[Manifest]:
    """Return the manifests of a chart.

    Args:
        chart: its folder.
        values: values that override the chart's own.
    """
    own = yaml.safe_load((chart / "values.yaml").read_text())
    merged = _merged(own, values)
    manifests: list[Manifest] = []
    for template in sorted((chart / "templates").glob("*.yaml")):
        text = _Template(template.read_text(), merged).render()
        manifests += [manifest for manifest in yaml.safe_load_all(text) if manifest]
    return manifests


def _merged(own: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(own)
    for name, value in overrides.items():
        old = result.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            result[name] = _merged(old, value)  # pyright: ignore[reportUnknownArgumentType] -- YAML
        else:
            result[name] = value
    return result


class _Template:
    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self._values = values
        self._parts = list(_split(text))

    def render(self) -> str:
        out: list[str] = []
        # Whether the block shows, and what `.` is in it.
        blocks: list[tuple[bool, Any]] = [(True, {"Values": self._values})]
        for is_action, part in self._parts:
            shows, dot = blocks[-1]
            if not is_action:
                out += [part] * shows
            elif part == "end":
                blocks.pop()
            elif (word := part.partition(" ")[0]) in {"if", "with"}:
                value = self._value(part.partition(" ")[2], dot) if shows else None
                blocks.append((shows and bool(value), value if word == "with" else dot))
            elif shows:
                out.append(_text(self._value(part, dot)))
        assert len(blocks) == 1, "a block has no end"
        return "".join(out)

    def _value(self, pipeline: str, dot: Any) -> Any:
        first, *filters = (one.split() for one in pipeline.split(" | "))
        value = _looked_up(first[-1], dot)
        if len(first) == 2:
            filters.insert(0, first[:1])
        for name, *arguments in filters:
            value = _FUNCTIONS[name](value, *arguments)
        return value


def _split(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the literal parts and the actions; a `-` eats the white space on its side."""
    position = 0
    strips = False
    for found in _ACTION.finditer(text):
        literal = text[position : found.start()] + ("" if found[2] else found[1])
        yield False, literal.lstrip() if strips else literal
        yield True, found[3]
        strips = bool(found[4])
        position = found.end() - len(found[5])
    rest = text[position:]
    yield False, rest.lstrip() if strips else rest


def _looked_up(path: str, dot: Any) -> Any:
    assert path.startswith("."), f"{path} is not known here"
    value = dot
    for name in path[1:].split("."):
        value = value[name] if name else value
    return value


def _text(value: Any) -> str:
    assert type(value) in {str, int}, value
    return str(value)


def _to_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=True).rstrip("\n")


def _nindent(text: str, width: str) -> str:
    return "\n" + "\n".join(" " * int(width) + line for line in text.splitlines())


def _sha256sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_FUNCTIONS: Mapping[str, Any] = {
    "toYaml": _to_yaml,
    "nindent": _nindent,
    "quote": lambda value: json.dumps(str(value)),
    "sha256sum": _sha256sum,
}
