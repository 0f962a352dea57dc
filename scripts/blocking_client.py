"""Generate the modules of the blocking client from the asynchronous ones.

Both clients have the same methods, arguments and texts, written once in `pylon_client/_async/`.
`pylon_client/_sync/` is generated and committed, so that people and type checkers can read it.

    python scripts/blocking_client.py            writes the modules
    python scripts/blocking_client.py --check    names the modules that are out of date
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "pylon_client"
ASYNC: Final = PACKAGE / "_async"
SYNC: Final = PACKAGE / "_sync"
SCRIPT: Final = "scripts/blocking_client.py"
MODULES: Final = ("open_access", "identity", "identity_writes", "shared_reads")

_SUBSTITUTIONS: Final[Mapping[str, str]] = {
    rf"^`pylon_client._sync.(\w+)` is generated from this module by `{SCRIPT}`.$": (
        rf"Generated from `pylon_client._async.\1` by `{SCRIPT}`; do not edit."
    ),
    r"\basync def\b": "def",
    r"\bawait ": "",
    r"\bAsync(?=[A-Z])": "",
    rf"\bpylon_client\._async\.({'|'.join(MODULES)})\b(?= import)": r"pylon_client._sync.\1",
}


def blocking(module: str) -> str:
    """Return the source of a module of the blocking client."""
    source = (ASYNC / f"{module}.py").read_text()
    for pattern, replacement in _SUBSTITUTIONS.items():
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
    for command in (("check", "--select", "I", "--fix-only", "--quiet"), ("format", "--quiet")):
        ruff = ("ruff", *command, "--stdin-filename", str(_made(module)), "-")
        source = subprocess.run(  # noqa: S603 -- our own linter on our own source
            (sys.executable, "-m", *ruff), input=source, capture_output=True, text=True, check=True
        ).stdout
    return source


def stale() -> list[Path]:
    """Return the modules that are out of date."""
    made = {_made(module): blocking(module) for module in MODULES}
    return [
        path for path, source in made.items() if not path.exists() or path.read_text() != source
    ]


def _made(module: str) -> Path:
    return SYNC / f"{module}.py"


def main() -> int:
    """Write or check the modules, and return the exit code."""
    if "--check" in sys.argv[1:]:
        out_of_date = stale()
        for path in out_of_date:
            sys.stderr.write(f"{path} is out of date: run python {SCRIPT}\n")
        return 1 if out_of_date else 0
    for module in MODULES:
        _made(module).write_text(blocking(module))
    return 0


if __name__ == "__main__":
    sys.exit(main())
