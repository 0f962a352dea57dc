"""Write `sbom.cdx.json`: the packages that the service is installed with, in CycloneDX 1.6.

The packages and the hashes of their files are those of `requirements/service.txt`; the licences are
those of `docs/licences.md`.
"""

import json
import re
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements" / "service.txt"
LICENCES: Final = ROOT / "docs" / "licences.md"
BOM: Final = ROOT / "sbom.cdx.json"
PRODUCT: Final = "pylon-service"
_LOCKED: Final = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?P<files>(?:.*\\\n)(?: +--hash=.*\n)+)",
    re.MULTILINE,
)
_ROW: Final = re.compile(r"^\| `([a-z0-9-]+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def _component(kind: str, name: str, number: str) -> dict[str, Any]:
    reference = f"pkg:pypi/{name}@{number}"
    return {"type": kind, "bom-ref": reference, "name": name, "version": number, "purl": reference}


def _dependency(locked: re.Match[str], licences: dict[str, str]) -> dict[str, Any]:
    name, number = locked["name"], locked["version"]
    digests = re.findall(r"--hash=sha256:([0-9a-f]{64})", locked["files"])
    return _component("library", name, number) | {
        "licenses": [{"license": {"name": licences[name]}}],
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{name}/{number}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in digests],
            }
        ],
    }


def bom() -> dict[str, Any]:
    """Return the document; the same input gives the same one."""
    lock = LOCK.read_text()
    licences = dict(_ROW.findall(LICENCES.read_text()))
    product = _component("application", PRODUCT, version(PRODUCT))
    product["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    found = [_dependency(locked, licences) for locked in _LOCKED.finditer(lock)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, product['purl'] + lock)}",
        "version": 1,
        "metadata": {"component": product},
        "components": found,
        "dependencies": [
            {"ref": product["bom-ref"], "dependsOn": [one["bom-ref"] for one in found]}
        ],
    }


def main() -> None:
    """Write the document."""
    BOM.write_text(json.dumps(bom(), indent=2) + "\n")


if __name__ == "__main__":
    main()
