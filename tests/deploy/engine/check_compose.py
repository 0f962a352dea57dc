"""The compose deployment of its page, on a container engine, with a simulated chain."""

import json
import os
import re
import shutil
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from pylon_devnet.dev_wallets import write_wallet
from tests.support.k8s.engine import Engine, output, until
from tests.support.product.free_ports import free_ports

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "deployment" / "compose.md").read_text()
OPENED = "my_open_access_token"
NEURONS = "/api/v1/subnet/1/block/latest/neurons"
HOTKEY = "5DnaeKZFLMjZFgcp23FpBsBX7WGqcPmRSE48htZj2vZsmzQG"
DEVNET = """
services:
  devnet:
    image: pylon:local
    command: [pylon, devnet, --host, 0.0.0.0, --block-time, "1", --past-blocks, "20"]
    networks: [pylon]
"""


@dataclass(frozen=True)
class Composition:
    """A running composition: its folder, its engine and its name."""

    docker: Engine
    folder: Path
    name: str
    port: int

    def compose(self, command: str) -> str:
        """Run a line of the page, which begins with `docker compose`."""
        arguments = command.removeprefix("docker compose ").split()
        if arguments[0] == "exec":
            arguments.insert(1, "-T")  # tests have no terminal
        files = ["-f", "docker-compose.yaml", "-f", "devnet.yaml", "-p", self.name]
        argv = [*self.docker.compose, *files, *arguments]
        return output(argv, self.docker.environment, self.folder)

    def containers(self, service: str) -> list[str]:
        return self.compose(f"docker compose ps -q {service}").split()

    def inspect(self, container: str, what: str) -> str:
        return self.docker.run("inspect", "--format", f"{{{{{what}}}}}", container)

    def serves(self, path: str = NEURONS, token: str = OPENED) -> bool:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            response = httpx.get(
                url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
            )
        except httpx.TransportError:
            return False
        return response.is_success

    def is_healthy(self, *services: str) -> bool:
        return all(
            self.inspect(container, ".State.Health.Status") == "healthy"
            for service in services
            for container in self.containers(service)
        )


def change_of_identities() -> list[str]:
    """Return the commands of the page that change the identities."""
    _, section = PAGE.split("\n## Identities and tokens\n")
    (block, *_) = re.findall(r"```bash\n(docker compose .*?)```", section, re.DOTALL)
    return block.splitlines()


@pytest.fixture(scope="module")
def running(
    docker: Engine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    folder = tmp_path_factory.mktemp("composition")
    for name in ("docker-compose.yaml", "nats.conf", "Dockerfile"):
        shutil.copy(ROOT / name, folder)
    (folder / "devnet.yaml").write_text(DEVNET)
    wallets = folder / "wallets"
    write_wallet(wallets, "sn1", "default")
    for path in (folder.parent, folder, wallets, *wallets.rglob("*")):
        path.chmod(0o755)  # for user 1000
    (port,) = free_ports(1)
    env, tokens = re.findall(r"```bash\n(PYLON_.*?)```", PAGE, re.DOTALL)
    of_test = {
        "BITTENSOR_NETWORK": "ws://devnet:9944",
        "ID_SN1_WALLET_NAME": "sn1",
        "ID_SN1_HOTKEY_NAME": "default",
        "ID_SN1_HOTKEY_SS58": HOTKEY,
        "BITTENSOR_ARCHIVE_NETWORK": "",
        "WALLETS": str(wallets),
        "READERS": "2",
        "PORT": str(port),
    }
    env += "".join(f"PYLON_{name}={value}\n" for name, value in of_test.items())
    (folder / ".env").write_text(env)
    (folder / "tokens.env").write_text(tokens)
    composition = Composition(docker, folder, f"pylon-{uuid.uuid4().hex[:8]}", port)
    try:
        composition.compose("docker compose up -d --no-build")
        until(composition.serves)
        yield composition
    finally:
        composition.compose("docker compose down --volumes --timeout 5")


def test_all_services_become_healthy(running: Composition) -> None:
    until(lambda: running.is_healthy("nats", "reader", "signer", "bridge", "devnet"))
    assert len(running.containers("reader")) == 2
    running.compose("docker compose exec signer pylon check")


def test_only_the_bridge_is_reachable_and_only_from_this_host(running: Composition) -> None:
    published = {
        service: json.loads(running.inspect(container, "json .HostConfig.PortBindings")) or {}
        for service in ("nats", "reader", "signer", "bridge")
        for container in running.containers(service)[:1]
    }
    assert published.pop("bridge") == {
        "8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(running.port)}]
    }
    assert set(map(len, published.values())) == {0}


def test_each_process_has_only_its_own_secrets(running: Composition) -> None:
    own = {
        "reader": {"PYLON_NATS_READER_PASSWORD"},
        "signer": {"PYLON_NATS_WORKER_PASSWORD"},
        "bridge": {
            "PYLON_NATS_BRIDGE_PASSWORD",
            "PYLON_OPEN_ACCESS_TOKEN",
            "PYLON_ID_SN1_TOKEN",
        },
        "nats": set[str](),
    }
    for service, expected in own.items():
        text = running.compose(f"docker compose exec {service} env")
        variables = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        found = {
            name
            for name, value in variables.items()
            if value and name.startswith("PYLON_") and name.endswith(("_TOKEN", "_PASSWORD"))
        }
        assert found - {"PYLON_METRICS_TOKEN"} == expected


def test_pylon_jobs_works_in_the_bridge_container(running: Composition) -> None:
    running.compose("docker compose exec bridge pylon jobs ls")


def test_identities_change_while_nats_keeps_running(running: Composition) -> None:
    (nats,) = running.containers("nats")
    since = running.inspect(nats, ".State.StartedAt")
    of_sn2 = "/api/v1/identity/sn2/subnet/2/block/latest/neurons"
    assert not running.serves(of_sn2, "token-of-sn2")
    with (running.folder / ".env").open("a") as file:
        file.write('PYLON_IDENTITIES=["sn1", "sn2"]\nPYLON_ID_SN2_NETUID=2\n')
    with (running.folder / "tokens.env").open("a") as file:
        file.write("PYLON_ID_SN2_TOKEN=token-of-sn2\n")
    for line in change_of_identities():
        running.compose(line)
    until(lambda: running.serves(of_sn2, "token-of-sn2"))
    assert running.containers("nats") == [nats]
    assert running.inspect(nats, ".State.StartedAt") == since
    assert "Reloaded server configuration" in running.docker.run("logs", nats)
    # The number of readers is that of the file.
    assert len(running.containers("reader")) == 2


def test_nats_is_started_again_after_a_crash_that_follows_a_reload(running: Composition) -> None:
    (nats,) = running.containers("nats")
    restarts = int(running.inspect(nats, ".RestartCount"))
    try:
        os.kill(int(running.inspect(nats, ".State.Pid")), signal.SIGKILL)
    except (PermissionError, ProcessLookupError):
        pytest.skip("the engine's processes are not of this machine, or another user's")
    until(lambda: int(running.inspect(nats, ".RestartCount")) > restarts)
    until(running.serves)
