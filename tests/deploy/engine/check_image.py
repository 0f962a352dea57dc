"""The image, built and run by a container engine."""

import json
from collections.abc import Iterator

import pytest

from tests.support.k8s.engine import Engine, until

TOOLS = ("uv", "pip", "pip3", "hatchling", "gcc", "cc", "make")
# A module with missing or stale bytecode is compiled again at every start.
UNCOMPILED = """
import importlib.util, pathlib, py_compile, sys, sysconfig
missing = []
for source in pathlib.Path(sysconfig.get_path("purelib")).rglob("*.py"):
    cached = pathlib.Path(importlib.util.cache_from_source(str(source)))
    if not cached.exists():
        try:
            compile(source.read_bytes(), str(source), "exec")
        except SyntaxError:
            continue  # a file of another version of Python, which nothing imports
        missing.append(str(source))
    elif cached.read_bytes()[4:8] != b"\\1\\0\\0\\0":
        missing.append(f"{source}: checked against the source's time")
import bittensor, bridge.main, pylon.worker.main
for module in list(sys.modules.values()):
    cached = getattr(getattr(module, "__spec__", None), "cached", None)
    if cached and not pathlib.Path(cached).exists():
        missing.append(module.__name__)
print("\\n".join(missing))
"""
READ_ONLY = ("--read-only", "--tmpfs=/tmp")  # and the volume /data
HARDENED = (*READ_ONLY, "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--memory=1g")


@pytest.fixture
def containers(docker: Engine) -> Iterator[list[str]]:
    """Ids of containers that are removed afterwards."""
    started: list[str] = []
    yield started
    for container in started:
        docker.run("rm", "--force", "--volumes", container)


def test_the_image_has_no_build_or_install_tools(docker: Engine, image: str) -> None:
    look = f"for tool in {' '.join(TOOLS)}; do command -v $tool; done; true"
    assert docker.run("run", "--rm", image, "sh", "-c", look) == ""
    for module in ("pip", "uv", "hatchling", "setuptools"):
        find = f"import importlib.util as u; print(u.find_spec('{module}'))"
        assert docker.run("run", "--rm", image, "python", "-c", find) == "None"


def test_every_package_is_compiled(docker: Engine, image: str) -> None:
    assert docker.run("run", "--rm", *READ_ONLY, image, "python", "-c", UNCOMPILED) == ""


def test_the_image_has_its_labels(docker: Engine, image: str) -> None:
    labels = json.loads(docker.run("inspect", "--format", "{{json .Config.Labels}}", image))
    assert labels["org.opencontainers.image.title"] == "Pylon"
    assert labels["org.opencontainers.image.revision"] == "of-a-test"


def test_it_runs_without_privileges_and_shuts_down_gracefully(
    docker: Engine, image: str, containers: list[str]
) -> None:
    health = ("--health-interval", "1s")
    command = ("pylon", "up", "--devnet", "--host", "0.0.0.0", "--block-time", "1")
    up = docker.run("run", "--detach", *HARDENED, *health, image, *command)
    containers.append(up)
    until(lambda: health_of(docker, up) == "healthy")
    user = docker.run("exec", up, "python", "-c", "import os; print(os.getuid())")
    assert user == "1000"
    docker.run("stop", "--time", "60", up)
    assert docker.run("inspect", "--format", "{{.State.ExitCode}}", up) == "0"


def test_a_container_of_the_devnet_is_healthy(
    docker: Engine, image: str, containers: list[str]
) -> None:
    command = ("pylon", "devnet", "--host", "0.0.0.0")
    devnet = docker.run("run", "--detach", "--init", "--health-interval", "1s", image, *command)
    containers.append(devnet)
    until(lambda: health_of(docker, devnet) == "healthy")


def health_of(docker: Engine, container: str) -> str:
    status, running = docker.run(
        "inspect", "--format", "{{.State.Health.Status}} {{.State.Running}}", container
    ).split()
    assert running == "true", docker.run("logs", container)
    assert status != "unhealthy", docker.run("inspect", container)
    return status
