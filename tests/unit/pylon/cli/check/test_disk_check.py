"""`pylon check` measures the disk of the streams, if it is on this machine."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pylon.cli.check.disk_check import check_disk
from pylon.cli.check.findings import Level


def embedded(state: Path, port: int) -> Path:
    """Create the folder of an embedded NATS that listens on a port."""
    ports = state / "nats" / "ports"
    ports.mkdir(parents=True)
    (ports / "nats-server_1.ports").write_text(json.dumps({"nats": [f"nats://127.0.0.1:{port}"]}))
    return state / "nats" / "jetstream"


@pytest.fixture
def free_gib(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Set the free space by the end of a folder's name; 50 GiB elsewhere."""
    gib: dict[str, float] = {}

    def usage(folder: Path) -> SimpleNamespace:
        free = next((free for end, free in gib.items() if str(folder).endswith(end)), 50.0)
        return SimpleNamespace(free=int(free * 2**30))

    monkeypatch.setattr("pylon.cli.check.disk_check.shutil.disk_usage", usage)
    return gib


@pytest.mark.parametrize("state", ["", "devnet"])
def test_the_disk_of_the_embedded_nats_is_measured(
    tmp_path: Path, free_gib: dict[str, float], state: str
) -> None:
    embedded(tmp_path / state, 4222).mkdir()
    embedded(tmp_path / "other", 4223)
    free_gib["nats/jetstream"] = 0.5
    found = check_disk(["nats://127.0.0.1:4222"], tmp_path)
    assert found.level is Level.FAILURE
    assert f"0.5 GiB free in {tmp_path / state}/nats/jetstream, where NATS keeps" in found.text
    assert "make room" in found.remedy
    free_gib.clear()
    assert check_disk(["nats://localhost:4222"], tmp_path).level is Level.OK


def test_the_disk_of_an_external_local_nats_is_not_claimed_as_measured(
    tmp_path: Path, free_gib: dict[str, float]
) -> None:
    embedded(tmp_path, 4222)
    found = check_disk(["nats://127.0.0.1:4333"], tmp_path / "none" / "yet")
    assert found.level is Level.OK
    assert "the disk of a NATS that it does not run is not measured" in found.text
    free_gib[tmp_path.name] = 0.1
    assert check_disk(["nats://[::1]:4333"], tmp_path / "none" / "yet").level is Level.FAILURE


def test_disks_of_other_machines_are_not_measured(
    tmp_path: Path, free_gib: dict[str, float]
) -> None:
    free_gib[""] = 0.0
    found = check_disk(["tls://nats-0.nats:4222", "tls://10.0.0.7:4222"], tmp_path)
    assert found.level is Level.OK
    assert found.text.startswith("not measured: NATS at nats-0.nats, 10.0.0.7 keeps")
