"""One word for one thing: the name of a module or a class exists once."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.unit.repository.packages import ROOT, is_generated_twin, modules

REPEATED_MODULES = {"__init__", "__main__", "main", "settings"}


def duplicates(named: Iterable[tuple[str, str]]) -> str:
    """Return each name that has several places, and the places, as lines of text."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, place in named:
        places[name].append(place)
    return "\n".join(
        f"{name}: {', '.join(several)}"
        for name, several in sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))
        if len(several) > 1
    )


def class_lines(module: Path) -> list[tuple[str, int]]:
    """Return the classes of a module, nested ones too, with the lines where they begin."""
    tree = ast.parse((ROOT / module).read_text())
    return [(node.name, node.lineno) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def test_module_names_exist_once() -> None:
    found = duplicates(
        (module.stem, str(module))
        for module in modules()
        if module.stem not in REPEATED_MODULES and not is_generated_twin(module)
    )
    assert not found, f"modules of the same name:\n{found}"


def test_class_names_exist_once() -> None:
    found = duplicates(
        (name, f"{module}:{line}")
        for module in modules()
        if not is_generated_twin(module)
        for name, line in class_lines(module)
    )
    assert not found, f"classes of the same name:\n{found}"


def test_duplicates_are_listed_with_their_places() -> None:
    assert duplicates([("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]) == "a: 1, 3"
