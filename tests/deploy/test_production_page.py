"""Run the commands of the production page in order, and check the resulting cluster."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pylon.nats_server.server_limits import MAX_PAYLOAD_BYTES
from pylon_client.nats.nats_connection import ConnectionOptions, connect
from pylon_devnet.dev_wallets import write_wallet
from tests.support.k8s.nats_chart import Chart
from tests.support.nats.nats_process import NatsProcess
from tests.support.product.eventually import HANGS_AFTER_S, comes_true
from tests.support.product.free_ports import free_ports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deployment" / "kubernetes.md"


@dataclass(frozen=True)
class Deployed:
    """A cluster after the commands of the page."""

    folder: Path

    def all(self, kind: str) -> dict[str, Any]:
        files = (self.folder / kind).glob("*.json")
        return {file.stem: json.loads(file.read_text()) for file in files}

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        return {
            name: {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}
            for name, secret in self.all("secret").items()
        }

    @property
    def pods(self) -> list[dict[str, Any]]:
        workloads = [*self.all("deployment").values(), *self.all("statefulset").values()]
        return [*(workload["spec"]["template"] for workload in workloads), self.chart.pod]

    @property
    def chart(self) -> Chart:
        return Chart(self.all("release")["nats"]["values"])

    @property
    def settings(self) -> dict[str, str]:
        return self.all("configmap")["pylon"]["data"]


def commands() -> list[str]:
    """Return the code blocks of the section in their order."""
    _, section = PAGE.read_text().split("## In production\n")
    return re.findall(r"```bash\n(.*?)```", section.split("\n## ")[0], re.DOTALL)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folder = tmp_path_factory.mktemp("production")
    programs, cluster, project = (folder / name for name in ("bin", "cluster", "project"))
    for new_folder in (programs, cluster, project):
        new_folder.mkdir()
    shutil.copytree(ROOT / "deploy", project / "deploy")
    shutil.copy(ROOT / "Dockerfile", project)
    write_wallet(folder / ".bittensor" / "wallets", "sn1", "default")
    for name in ("docker", "kubectl", "helm"):
        stand_in = programs / name
        stand_in.write_text(
            f'#!/bin/sh\nexec {sys.executable} -m tests.support.k8s.cluster_commands {name} "$@"\n'
        )
        stand_in.chmod(0o755)
    done = subprocess.run(
        # The page says to repeat the last command but one after a change.
        ["bash", "-euo", "pipefail", "-c", "".join([*commands(), commands()[-2]])],
        cwd=project,
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "CLUSTER": str(cluster),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Deployed(cluster)


def test_the_images_of_the_pods_were_pushed(deployed: Deployed) -> None:
    pushed = {name.replace("_", "/") for name in deployed.all("image")}
    used = {
        container["image"]
        for workload in [
            *deployed.all("deployment").values(),
            *deployed.all("statefulset").values(),
        ]
        for container in workload["spec"]["template"]["spec"]["containers"]
    }
    assert used == pushed


def mounted_secrets(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the Secrets of a pod's volumes: `name`, and `items` if only some keys are mounted."""
    found: list[dict[str, Any]] = []
    for volume in pod["spec"]["volumes"]:
        if "secret" in volume:
            found.append({**volume["secret"], "name": volume["secret"]["secretName"]})
        found += [one["secret"] for one in volume.get("projected", {}).get("sources", [])]
    return found


def test_every_secret_that_pods_mount_is_there_with_its_keys(deployed: Deployed) -> None:
    made = {one["metadata"]["name"]: one["data"] for one in deployed.all("secret").values()}
    mounted = [one for pod in deployed.pods for one in mounted_secrets(pod)]
    assert {one["name"] for one in mounted} == made.keys()
    for one in mounted:
        assert {item["key"] for item in one.get("items", [])} <= made[one["name"]].keys()


def test_every_file_of_the_settings_is_a_key_of_a_secret(deployed: Deployed) -> None:
    named = {
        value
        for name in ("pylon", "pylon-callers")
        for key, value in deployed.all("configmap")[name]["data"].items()
        if key.endswith("_FILE")
    }
    for pod in deployed.pods:
        for container in pod["spec"]["containers"]:
            variables = {one["name"]: one.get("value", "") for one in container.get("env", [])}
            named |= {value for name, value in variables.items() if name.endswith("_FILE")}
    folder = "/run/secrets/pylon/"
    assert len(named) > 4
    secrets = deployed.secrets["pylon-tokens"] | deployed.secrets["pylon-metrics"]
    secrets |= deployed.secrets["pylon-nats"]
    assert {path.removeprefix(folder) for path in named} <= secrets.keys()
    assert len(set(secrets.values())) == len(secrets)


def test_the_hotkey_of_each_identity_is_where_its_settings_say(deployed: Deployed) -> None:
    signer = deployed.all("statefulset")["pylon-signer"]["spec"]["template"]["spec"]
    (wallets,) = [volume for volume in signer["volumes"] if volume["name"] == "wallets"]
    content = deployed.secrets[wallets["secret"]["secretName"]]
    paths = {item["path"]: content[item["key"]] for item in wallets["secret"]["items"]}
    identities: list[str] = json.loads(deployed.settings["PYLON_IDENTITIES"])
    prefixes = [f"PYLON_ID_{name.upper().replace('-', '_')}_" for name in identities]
    expected = {
        f"{deployed.settings[prefix + 'WALLET_NAME']}/hotkeys/"
        f"{deployed.settings[prefix + 'HOTKEY_NAME']}"
        for prefix in prefixes
    }
    assert paths.keys() == expected
    assert all("secretPhrase" in hotkey or "privateKey" in hotkey for hotkey in paths.values())


def on_this_machine(text: str, folder: Path, number: int, ports: list[int]) -> str:
    """Return a configuration of the cluster with addresses and folders of this machine."""
    own, monitor = ports[2 * number : 2 * number + 2]
    text = re.sub(
        r"nats-(\d)\.nats-headless(:|\\x3a)6222",
        lambda found: f"127.0.0.1{found[2]}{ports[2 * int(found[1])]}",
        text,
    )
    text = re.sub(r"0\.0\.0\.0(:|\\x3a)6222", rf"127.0.0.1\g<1>{own}", text)
    text = text.replace('"port": 6222', f'"listen": "127.0.0.1:{own}"')
    text = text.replace('"http_port": 8222', f'"http": "127.0.0.1:{monitor}"')
    text = text.replace("$SERVER_NAME", f"nats-{number}").replace("/var/run/nats", str(folder))
    return text.replace('"/data"', f'"{folder / "data"}"')


async def test_the_charts_servers_accept_the_users_and_only_each_other(
    deployed: Deployed, tmp_path: Path
) -> None:
    ports = free_ports(8)
    access = deployed.secrets["nats-access"]["access.conf"]
    secrets = deployed.secrets["pylon-tokens"] | deployed.secrets["pylon-nats"]
    tokens = {name: text.strip() for name, text in secrets.items()}
    async with AsyncExitStack() as stack:

        async def started(number: int, conf: str) -> NatsProcess:
            folder = tmp_path / f"nats-{number}"
            for name, text in (
                ("nats-config/nats.conf", conf),
                ("nats-access/access.conf", access),
            ):
                path = folder / name
                path.parent.mkdir(parents=True)
                path.write_text(on_this_machine(text, folder, number, ports))
            process = NatsProcess(folder / "run", folder / "nats-config" / "nats.conf")
            return await stack.enter_async_context(process)

        async def neighbours(number: int) -> set[str]:
            async with httpx.AsyncClient(trust_env=False) as client:
                response = await client.get(f"http://127.0.0.1:{ports[2 * number + 1]}/routez")
            return {route["remote_name"] for route in response.json()["routes"]}

        async def only_each_other() -> bool:
            return await neighbours(0) == {"nats-1"} and await neighbours(1) == {"nats-0"}

        servers = [await started(number, deployed.chart.conf) for number in range(2)]
        await comes_true(only_each_other)
        for user, key in (
            ("worker", "nats-worker-password"),
            ("reader", "nats-reader-password"),
            ("bridge", "nats-bridge-password"),
            ("open", "open-access-token"),
            ("sn1", "id-sn1-token"),
        ):
            options = ConnectionOptions(urls=(servers[0].url(),), user=user, password=tokens[key])
            connection = await connect(options)
            stack.push_async_callback(connection.close)
            assert connection.nats.max_payload == MAX_PAYLOAD_BYTES

        # A server at a new address with the chart's own cluster configuration has no password.
        await started(3, deployed.chart.conf.replace("include ", "# include "))

        async def each_refused_often() -> bool:
            return all(server.log.count("authentication error") >= 5 for server in servers)

        await comes_true(each_refused_often)
        assert await only_each_other()


def test_the_release_is_of_the_chart_that_the_values_are_for(deployed: Deployed) -> None:
    values = (ROOT / "deploy/k8s/overlays/production/nats-values.yaml").read_text()
    (version,) = re.findall(r"official chart `nats` \(([\d.]+)\)", values)
    assert deployed.all("release")["nats"]["version"] == version


@pytest.mark.parametrize("missing", [0, 1])
def test_the_stand_ins_refuse_commands_in_the_wrong_order(tmp_path: Path, missing: int) -> None:
    # The namespace and the repository do not exist.
    command = (
        ["kubectl", "-n", "pylon", "create", "secret", "generic", "pylon-tokens"],
        ["helm", "upgrade", "--install", "nats", "nats/nats", "-n", "pylon", "-f", "values.yaml"],
    )[missing]
    refused = subprocess.run(
        [sys.executable, "-m", "tests.support.k8s.cluster_commands", *command],
        env={**os.environ, "CLUSTER": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    assert refused.returncode == 1
    assert "yet" in refused.stderr
