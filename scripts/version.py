"""Write the version of `pyproject.toml` to the other files that state it.

`pylon-service` and `pylon-client` have one version and require each other in that version.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SERVICE: Final = ROOT / "pyproject.toml"
CLIENT: Final = ROOT / "distributions" / "client" / "pyproject.toml"
IMAGE: Final = ROOT / "Dockerfile"
_STATED: Final = {
    SERVICE: (r'"pylon-client==(.+?)"',),
    CLIENT: (r'^version = "(.+?)"$', r'"pylon-service\[devnet\]==(.+?)"'),
    IMAGE: (r"^ARG VERSION=(.+)$",),
}
"""Patterns of the places that state the version, in their files."""


def version() -> str:
    """Return the version of both distributions."""
    return tomllib.loads(SERVICE.read_text())["project"]["version"]


def texts() -> dict[Path, str]:
    """Return the files that state the version, with the current one.

    Raises:
        ValueError: a file does not state the version exactly once in each of its places.
    """
    found: dict[Path, str] = {}
    for path, patterns in _STATED.items():
        text = path.read_text()
        for pattern in patterns:
            text, count = re.subn(pattern, _with_version, text, flags=re.MULTILINE)
            if count != 1:
                raise ValueError(f"{path.name}: {pattern} matches {count} times instead of once")
        found[path] = text
    return found


def _with_version(stated: re.Match[str]) -> str:
    start, end = (place - stated.start() for place in stated.span(1))
    return stated[0][:start] + version() + stated[0][end:]


def main() -> None:
    """Write the files."""
    for path, text in texts().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
