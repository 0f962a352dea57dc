"""Checks of the image and the compose files that need no container engine."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Any

import httpx
import pytest
import yaml

from pylon_client.contract.ss58 import is_address
from pylon_devnet import Devnet, DevnetOptions
from tests.support.k8s.kustomize import variables
from tests.support.product.eventually import comes_true
from tests.support.product.free_ports import free_ports
from tests.support.product.pylon_command import command_environment
from tests.support.product.service_process import service_process

ROOT = Path(__file__).parents[2]
BESIDE = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_PAGE = (ROOT / "docs" / "deployment" / "compose.md").read_text()
DOCKER_PAGE = (ROOT / "docs" / "deployment" / "docker.md").read_text()
COMPOSITION: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSITION["services"]
TLS: dict[str, Any] = yaml.safe_load((ROOT / "compose.tls.yaml").read_text())
TLS_SERVICES: dict[str, dict[str, Any]] = TLS["services"]


def instruction(name: str) -> list[str]:
    """Return the last instruction with a name in the Dockerfile, in its exec form."""
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


@pytest.mark.parametrize("file", ["docker-compose.yaml", "compose.tls.yaml"])
def test_the_composition_matches_its_schema(file: str) -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)


def test_base_images_are_pinned_and_the_user_is_unprivileged() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    pinned = r"python:\d+\.\d+\.\d+-[\w-]+@sha256:\w{64}"
    assert all(re.fullmatch(pinned, base) for base in bases)
    assert len(set(bases)) == 1
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]


def test_labels_name_the_project_and_its_version() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', DOCKERFILE))
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
    assert {"title", "description", "licenses", "version", "revision", "base.name"} == set(labels)
    assert labels["version"] == "${VERSION}"
    assert arguments["VERSION"] == version("pylon-service")
    (base,) = set(re.findall(r"^FROM (\S+)@", DOCKERFILE, re.MULTILINE))
    assert labels["base.name"] == f"docker.io/library/{base}"


def test_dependencies_are_compiled_and_build_tools_are_left_out() -> None:
    (_, final) = DOCKERFILE.split("\nFROM ")[-2:]
    installs = re.findall(r"uv pip install(?:[^&]|&(?!&))*", DOCKERFILE)
    assert len(installs) == 2
    for install in installs:
        assert "--compile-bytecode" in install
        assert "--python /opt/pylon/bin/python" in install
    assert re.findall(r"^COPY --from=build (.*)$", final, re.MULTILINE) == ["/opt/pylon /opt/pylon"]


def test_copied_files_exist_and_reach_the_build() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    included_files = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
    assert set(copied) == included_files


async def test_the_command_of_the_image_serves_the_readmes_request(
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
            # A container has its own ports; this machine shares them with other tests.
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
    """Return the command of the image's healthcheck."""
    (command,) = re.findall(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(command)


def test_only_the_signer_mounts_wallets() -> None:
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


def test_one_service_builds_the_image_and_others_are_pinned() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["nats-conf"]
    assert (SERVICES["nats-conf"]["build"], SERVICES["nats-conf"]["pull_policy"]) == (".", "build")
    for name, service in SERVICES.items():
        if name == "nats":
            assert re.fullmatch(r"nats:[\d.]+-alpine@sha256:\w{64}", service["image"])
        else:
            assert service["image"] == "pylon:local"
            assert service["pull_policy"] == ("build" if "build" in service else "never")


def settings_of_the_page() -> tuple[dict[str, str], dict[str, str]]:
    """Return the page's settings for `.env` and for `tokens.env`."""
    env, tokens = re.findall(r"```bash\n(PYLON_.*?)```", COMPOSE_PAGE, re.DOTALL)
    return variables(env), variables(tokens)


def test_readers_have_the_hotkey_addresses_of_all_identities() -> None:
    settings, _ = settings_of_the_page()
    names: list[str] = json.loads(settings["PYLON_IDENTITIES"])
    assert names
    for name in names:
        assert settings[f"PYLON_ID_{name.upper()}_NETUID"]
        assert is_address(settings[f"PYLON_ID_{name.upper()}_HOTKEY_SS58"])
    assert SERVICES["reader"]["environment"]["PYLON_BITTENSOR_WALLET_PATH"] == ""


def test_only_the_processes_that_check_tokens_have_them() -> None:
    settings, tokens = settings_of_the_page()
    assert set(tokens) == {"PYLON_OPEN_ACCESS_TOKEN", "PYLON_ID_SN1_TOKEN"}
    assert {name for name in settings if name.endswith("_TOKEN")} == {"PYLON_METRICS_TOKEN"}
    for name in ("nats-conf", "bridge"):
        assert SERVICES[name]["env_file"] == [".env", "tokens.env"]
    for name in ("reader", "signer"):
        assert SERVICES[name]["env_file"] == [".env"]
    assert "env_file" not in SERVICES["nats"]


def test_nats_accepts_new_users_without_a_restart() -> None:
    (section,) = re.findall(r"## Identities and tokens\n(.*?)\n## ", COMPOSE_PAGE, re.DOTALL)
    (commands,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    assert f"#\n{indent(commands, '#   ')}\n" in (ROOT / "docker-compose.yaml").read_text()
    rewrite, reload, restart = commands.splitlines()

    writer = rewrite.removeprefix("docker compose run --rm ")
    # A signal from the engine would disable the restart policy; one from nats-server does not.
    server, *command = reload.removeprefix("docker compose exec ").split()
    assert command == ["nats-server", "--signal", "reload=1"]
    assert SERVICES[server]["restart"] == "unless-stopped"
    written_to = SERVICES[writer]["command"][-1]
    (volume,) = [
        mount.split(":")[0]
        for mount in SERVICES[writer]["volumes"]
        if written_to.startswith(mount.split(":")[1])
    ]
    assert volume in {mount.split(":")[0] for mount in SERVICES[server]["volumes"]}
    assert restart == "docker compose up -d --no-deps reader signer bridge"
    # A change of a settings file recreates the containers that read it, but not the server.
    assert not any("PYLON" in name for name in SERVICES[server]["environment"])


def test_each_process_has_only_its_own_password() -> None:
    own = {"signer": "WORKER", "reader": "READER", "bridge": "BRIDGE"}
    for name, password in own.items():
        environment = SERVICES[name]["environment"]
        for other in set(own.values()) - {password}:
            assert environment[f"PYLON_NATS_{other}_PASSWORD"] == ""
        assert f"PYLON_NATS_{password}_PASSWORD" not in environment  # it is in the file


@pytest.mark.parametrize("name", SERVICES)
def test_services_run_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    # The healthcheck of the image detects which process a container runs.
    assert ("healthcheck" in service) == (name in {"nats", "nats-conf"})
    assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_only_the_rest_api_is_reachable_and_only_from_this_host_by_default() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"bridge"}
    assert SERVICES["bridge"]["ports"] == ["${PYLON_BIND:-127.0.0.1}:${PYLON_PORT:-8000}:8000"]
    assert SERVICES["reader"]["deploy"]["replicas"] == "${PYLON_READERS:-1}"


def test_services_have_limits() -> None:
    for service in (*SERVICES.values(), TLS_SERVICES["proxy"]):
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    limits = {"1g": 1024}
    for name in ("reader", "signer"):
        allowed_mib = limits[SERVICES[name]["mem_limit"]]
        stops_at_mib = int(SERVICES[name]["environment"]["PYLON_WORKER_MEMORY_LIMIT_MIB"])
        assert 0.8 < stops_at_mib / allowed_mib < 0.95


def test_variables_of_the_composition_are_documented() -> None:
    used = {
        name
        for file in ("docker-compose.yaml", "compose.tls.yaml")
        for name in re.findall(r"\$\{(\w+):[-?]", (ROOT / file).read_text())
        if not name.startswith("PYLON_NATS_")
    }
    assert set(re.findall(r"^\| `(PYLON_\w+)` \|", COMPOSE_PAGE, re.MULTILINE)) == used
