"""The image and the composition, as far as they can be checked where no container runs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pylon.devnet import Devnet, DevnetOptions
from pylon_client.contract.ss58 import is_address
from tests.support.eventually import comes_true
from tests.support.kustomize import variables
from tests.support.product import free_ports
from tests.support.pylon_command import command_environment
from tests.support.service_process import service_process

ROOT = Path(__file__).parents[2]
BESIDE = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_PAGE = (ROOT / "docs" / "deployment" / "compose.md").read_text()
DOCKER_PAGE = (ROOT / "docs" / "deployment" / "docker.md").read_text()
COMPOSITION: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSITION["services"]


def instruction(name: str) -> list[str]:
    """The last instruction of a name in the Dockerfile, in its exec form."""
    found = re.findall(rf"^(?:\s*){name} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(found[-1])


def checked(*argv: str) -> None:
    done = subprocess.run(
        [str(BESIDE / argv[0]), *argv[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_is_clean() -> None:
    checked("hadolint", "Dockerfile")


def test_the_composition_is_as_its_schema_says() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yaml")


def test_bases_are_pinned_and_the_user_is_nobody_special() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    pinned = r"python:\d+\.\d+\.\d+-[\w-]+@sha256:\w{64}"
    assert all(re.fullmatch(pinned, base) for base in bases)
    assert len(set(bases)) == 1
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
    assert set(copied) == kept


async def test_its_command_serves_what_the_readme_asks_with_the_readmes_settings(
    tmp_path: Path,
) -> None:
    program, *arguments = instruction("CMD")
    assert program == "pylon"
    port, nats_port, worker_port = free_ports(3)
    assert "PYLON_HEALTH_HOST=0.0.0.0\nPYLON_HEALTH_PORT=8081\n" in DOCKER_PAGE
    async with Devnet(DevnetOptions(port=0, block_time_s=0.5)) as devnet:
        variables = {
            "PYLON_BITTENSOR_NETWORK": devnet.url,
            "PYLON_BITTENSOR_WALLET_PATH": "/root/.bittensor/wallets",
            "PYLON_OPEN_ACCESS_TOKEN": "my_open_access_token",
            "PYLON_METRICS_TOKEN": "my_metrics_token",
            "PYLON_HEALTH_HOST": "0.0.0.0",
            # What a container has to itself, and this machine has not.
            "PORT": str(port),
            "NATS_PORT": str(nats_port),
            "PYLON_HEALTH_PORT": str(worker_port),
            "PYLON_HOME": str(tmp_path),
        }
        environment = command_environment(tmp_path, variables)
        argv = [sys.executable, "-m", "pylon", *arguments]
        async with (
            service_process(argv, tmp_path, environment) as process,
            httpx.AsyncClient(trust_env=False, timeout=60) as client,
        ):
            headers = {"Authorization": "Bearer my_open_access_token"}
            url = f"http://127.0.0.1:{port}/api/v1/subnet/1/block/latest/neurons"

            async def answers() -> bool:
                assert process.returncode is None
                try:
                    return (await client.get(url, headers=headers)).is_success
                except httpx.TransportError:
                    return False

            await comes_true(answers)
            assert (await client.get(url)).status_code == 401
            listening = Path("/proc/net/tcp").read_text()  # noqa: ASYNC240 -- no file at all
            assert f"00000000:{port:04X} " in listening
            assert f"00000000:{nats_port:04X} " not in listening

            headers = {"Authorization": "Bearer my_metrics_token"}
            of_bridge, of_worker = [
                (await client.get(f"http://127.0.0.1:{at}/metrics", headers=headers)).text
                for at in (port, worker_port)
            ]
            for metric in ("pylon_bittensor_operation_duration_seconds", "pylon_apply_weights_job"):
                assert metric in of_worker
                assert metric in of_bridge

            probe, *options = health_command()
            assert probe == "python"
            checked_health = subprocess.run(  # noqa: ASYNC221 -- the server is another process
                [sys.executable, *options], env=environment, timeout=60, check=False
            )
            assert checked_health.returncode == 0


def health_command() -> list[str]:
    """The command of the image's healthcheck."""
    (command,) = re.findall(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(command)


def test_only_the_signer_sees_wallets() -> None:
    with_wallets = {
        name
        for name, service in SERVICES.items()
        if any("wallets" in volume for volume in service.get("volumes", []))
    }
    assert with_wallets == {"signer"}
    assert all(
        volume.endswith(":ro") for volume in SERVICES["signer"]["volumes"] if "wallets" in volume
    )
    assert SERVICES["reader"]["environment"]["PYLON_WORKER_ROLE"] == "reader"


def test_its_image_is_built_here_and_others_are_pinned() -> None:
    for name, service in SERVICES.items():
        if name == "nats":
            assert re.fullmatch(r"nats:[\d.]+-alpine@sha256:\w{64}", service["image"])
        else:
            assert (service["image"], service["pull_policy"]) == ("pylon:local", "build")
            assert service["build"] == "."


def test_readers_know_the_identities_whose_wallets_they_do_not_see() -> None:
    (settings,) = re.findall(r"```bash\n(PYLON_.*?)```", COMPOSE_PAGE, re.DOTALL)
    given = variables(settings)
    names: list[str] = json.loads(given["PYLON_IDENTITIES"])
    assert names
    for name in names:
        assert given[f"PYLON_ID_{name.upper()}_NETUID"]
        assert is_address(given[f"PYLON_ID_{name.upper()}_HOTKEY_SS58"])
    assert SERVICES["reader"]["environment"]["PYLON_BITTENSOR_WALLET_PATH"] == ""
    assert SERVICES["reader"]["env_file"] == [".env"]


def test_nats_takes_new_users_and_goes_on() -> None:
    *_, told = re.findall(r"```bash\n(docker compose .*?)```", COMPOSE_PAGE, re.DOTALL)
    rewrite, reload, restart = told.splitlines()
    assert f"#   {rewrite} && {reload} && {restart}\n" in (ROOT / "docker-compose.yaml").read_text()

    writer = rewrite.removeprefix("docker compose run --rm ")
    server = reload.removeprefix("docker compose kill -s HUP ")
    written_to = SERVICES[writer]["command"][-1]
    (volume,) = [
        mount.split(":")[0]
        for mount in SERVICES[writer]["volumes"]
        if written_to.startswith(mount.split(":")[1])
    ]
    assert volume in {mount.split(":")[0] for mount in SERVICES[server]["volumes"]}
    assert restart == "docker compose up -d"
    # A change of the file of settings starts anew whoever has it; the server is not to be.
    assert "env_file" not in SERVICES[server]
    assert not any("PYLON" in name for name in SERVICES[server]["environment"])
    for name in ("reader", "signer", "bridge"):
        assert SERVICES[name]["env_file"] == [".env"]


def test_each_process_has_only_its_own_password() -> None:
    own = {"signer": "WORKER", "reader": "READER", "bridge": "BRIDGE"}
    for name, password in own.items():
        environment = SERVICES[name]["environment"]
        for other in set(own.values()) - {password}:
            assert environment[f"PYLON_NATS_{other}_PASSWORD"] == ""
        assert f"PYLON_NATS_{password}_PASSWORD" not in environment  # it is in the file


@pytest.mark.parametrize("name", SERVICES)
def test_services_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "healthcheck" in service or name == "bridge"  # which has the image's own
    assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_only_the_rest_api_is_reached_from_outside() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"bridge"}
