"""Write `docs/licences.md`: the licence of each package that the service is installed with.

The packages are those of `requirements/service.txt`; their licences are read from the metadata of
the installed packages. A package of another platform keeps its present line.
"""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements" / "service.txt"
PAGE: Final = ROOT / "docs" / "licences.md"
ELSEWHERE: Final = "not known here: for another platform"
_LOCKED: Final = re.compile(r"^([a-z0-9-]+)==([^ ;]+)", re.MULTILINE)
_ROW: Final = re.compile(r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_SHORT_CHARS: Final = 60
_HEAD: Final = """\
# Licences

The packages that the service is installed with (`requirements/service.txt`), each with the licence
in its metadata. Written by `scripts/licences.py`. Pylon itself is under Apache-2.0.

| package | version | licence |
|---|---|---|
"""


def licence_of(package: str) -> str | None:
    """Return a package's licence by its metadata; None if it is not installed."""
    try:
        fields = metadata(package)
    except PackageNotFoundError:
        return None
    text = next((fields[name] for name in ("License-Expression", "License") if name in fields), "")
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in fields.get_all("Classifier") or []
        if one.startswith("License :: ") and one != "License :: OSI Approved"
    ]
    # Some packages put the whole text of the licence into the field.
    is_short = "\n" not in text and 0 < len(text) <= _SHORT_CHARS
    found = text if is_short else ", ".join(classifiers)
    return found.replace("|", "/") or "not stated"


def page(before: str = "") -> str:
    """Return the current page.

    Args:
        before: the previous page, for packages that are not installed here.
    """
    known = {(name, version): licence for name, version, licence in _ROW.findall(before)}
    rows = [
        f"| `{name}` | {version} | {licence_of(name) or known.get((name, version), ELSEWHERE)} |"
        for name, version in _LOCKED.findall(LOCK.read_text())
    ]
    return _HEAD + "\n".join(rows) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text() if PAGE.exists() else ""))


if __name__ == "__main__":
    main()
