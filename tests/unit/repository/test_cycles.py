"""Neither files nor folders import each other in a circle."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch

import grimp
import pytest

from tests.unit.repository.packages import PACKAGES, ROOT

IGNORED = [
    # The address at which servers look for the app.
    ("pylon_client.service.main", "bridge.asgi"),
    # `pylon up` checks the bridge's settings before it starts a bridge.
    ("pylon.cli.up.*", "bridge.settings"),
    ("pylon.cli.up.*", "bridge.settings"),
]
"""Imports that may close a circle between the packages: patterns of importer and imported."""


def is_ignored(importer: str, imported: str) -> bool:
    return any(fnmatch(importer, one) and imported == other for one, other in IGNORED)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    present = [name for name in PACKAGES if (ROOT / name).is_dir()]
    graph = grimp.build_graph(*present, cache_dir=None)
    return {
        importer: {
            imported
            for imported in graph.find_modules_directly_imported_by(importer)
            if not is_ignored(importer, imported)
        }
        for importer in graph.modules
    }


def reachable(edges: Mapping[str, set[str]], start: str) -> set[str]:
    """Return what a node leads to; it is among them if it is part of a circle."""
    found: set[str] = set()
    pending = [start]
    while pending:
        for other in edges.get(pending.pop(), set()) - found:
            found.add(other)
            pending.append(other)
    return found


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that lead to each other, the largest first."""
    ahead = {node: reachable(edges, node) for node in edges}
    groups = {
        tuple(sorted(other for other in ahead[node] if node in ahead.get(other, set())))
        for node in edges
        if node in ahead[node]
    }
    return sorted(map(list, groups), key=lambda group: (-len(group), group))


def sibling_imports(imports: Mapping[str, set[str]]) -> dict[str, list[tuple[str, str, str]]]:
    """Return, for each folder, which of its entries import each other.

    An entry is a module or a folder with all that is in it. Each import is given as the importing
    entry, the imported entry, and the modules. The folder of the packages themselves is "".
    """
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for importer, importeds in imports.items():
        for imported in importeds:
            pairs = zip(importer.split("."), imported.split("."), strict=False)
            for depth, (one, other) in enumerate(pairs):
                if one != other:
                    folder = ".".join(importer.split(".")[:depth])
                    found[folder].append((one, other, f"{importer} -> {imported}"))
                    break
    return found


def described(folder: str, group: Iterable[str], found: Iterable[tuple[str, str, str]]) -> str:
    """Return a circle and the imports that close it, as lines of text."""
    inside = set(group)
    lines = sorted(modules for one, other, modules in found if {one, other} <= inside)
    return "\n  ".join([f"{folder or 'packages'}: {' <-> '.join(sorted(inside))}", *lines])


def test_no_circle_between_files(imports: dict[str, set[str]]) -> None:
    found = [" <-> ".join(group) for group in circles(imports)]
    assert not found, f"{len(found)} circles:\n" + "\n".join(found)


def test_no_circle_between_folders(imports: dict[str, set[str]]) -> None:
    found: list[str] = []
    for folder, between in sorted(sibling_imports(imports).items()):
        edges: dict[str, set[str]] = defaultdict(set)
        for one, other, _ in between:
            edges[one].add(other)
        found.extend(described(folder, group, between) for group in circles(edges))
    assert not found, f"{len(found)} circles:\n" + "\n".join(found)


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [["b", "c"]]
    found = sibling_imports({"p.a.x": {"p.b.y", "p.a.z"}, "p.b.y": {"p.a.w", "q"}})
    assert {folder: sorted(between) for folder, between in found.items()} == {
        "": [("p", "q", "p.b.y -> q")],
        "p": [("a", "b", "p.a.x -> p.b.y"), ("b", "a", "p.b.y -> p.a.w")],
        "p.a": [("x", "z", "p.a.x -> p.a.z")],
    }
