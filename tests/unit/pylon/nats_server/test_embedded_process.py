"""The binary, the environment and the port of the embedded nats-server."""

import sys
from pathlib import Path

import pytest

from pylon.nats_server.embedded_process import (
    EmbeddedNatsError,
    listening_port,
    nats_server_binary,
    server_environment,
)
from pylon.nats_server.server_limits import GO_MEMORY_LIMIT
from tests.support.product.secret_texts import secret_of


def test_the_server_gets_a_memory_limit_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", secret_of("open"))
    monkeypatch.setenv("GOMEMLIMIT", "1GiB")
    environment = server_environment()
    assert environment["GOMEMLIMIT"] == GO_MEMORY_LIMIT
    assert secret_of("open") not in environment.values()


def test_the_server_beside_python_is_preferred(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    beside, on_path = tmp_path / "bin", tmp_path / "path"
    for folder in (beside, on_path):
        folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    monkeypatch.setenv("PATH", str(on_path))
    with pytest.raises(EmbeddedNatsError, match="no nats-server is installed"):
        nats_server_binary()
    for folder in (on_path, beside):
        (folder / "nats-server").touch(mode=0o755)
        assert nats_server_binary() == str(folder / "nats-server")


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ('{"nats": ["nats://127.0.0.1:4222", "nats://10.0.0.1:4222"]}', 4222),
        ('{"nats": ["nats://[::1]:4333"]}', 4333),
        ("", None),
        ('{"nats": ["nats://127.0.0.1:42', None),
        ('{"nats": []}', None),
        ("{}", None),
        ('{"nats": ["nats://127.0.0.1:x"]}', None),
    ],
)
def test_the_port_is_known_when_its_file_is_complete(
    tmp_path: Path, text: str, port: int | None
) -> None:
    assert listening_port(tmp_path) is None
    (tmp_path / "nats-server_1.ports").write_text(text)
    assert listening_port(tmp_path) == port
