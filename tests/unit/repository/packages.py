"""List the modules of the project's packages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = ("pylon", "bridge", "pylon_client", "pylon_devnet")
GENERATED: Final = {
    Path("pylon_client/_sync"): Path("pylon_client/_async"),
}
"""Folders of generated modules, each with the folder that they are generated from."""


def modules() -> Iterator[Path]:
    """Yield the modules of all packages, relative to the project."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT)


def is_generated_twin(module: Path) -> bool:
    """Return whether a module is generated from one of the same name."""
    for generated, source in GENERATED.items():
        if module.is_relative_to(generated):
            return (ROOT / source / module.relative_to(generated)).is_file()
    return False
