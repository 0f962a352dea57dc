"""Run a pod of the manifests as processes on this machine, with its files and probes.

The environment of a container is translated: mounts become folders, names and ports of services
become addresses of this machine, and the installed packages replace the images.
"""

import asyncio
import base64
import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.k8s.kustomize import Manifest
from tests.support.nats.nats_server import nats_server_binary
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.product.http_client import http_client
from tests.support.product.preloaded_process import PreloadedProcess, Program
from tests.support.product.pylon_command import command_environment

POLL_S = 0.05
# The balancer of the tests removes a pod at once.
_NOT_AS_LONG = {"PYLON_BRIDGE_DRAIN_SECONDS": "1"}
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Cluster:
    """The pods' shared environment.

    Attributes:
        manifests: all manifests.
        folder: parent of the pods' folders.
        places: addresses in the manifests, and their replacements on this machine.
    """

    manifests: list[Manifest]
    folder: Path
    places: Mapping[str, str]

    def one(self, kind: str, name: str) -> Manifest:
        """Return the manifest with a kind and a name."""
        (found,) = [
            manifest
            for manifest in self.manifests
            if (manifest["kind"], manifest["metadata"]["name"]) == (kind, name)
        ]
        return found


class Pod:
    """One pod of a workload.

    Args:
        cluster: the pod's cluster.
        workload: a Deployment or a StatefulSet.
        name: the pod's own name.
        places: further replacements for this pod alone, such as its ports.
    """

    def __init__(
        self, cluster: Cluster, workload: Manifest, name: str, places: Mapping[str, str]
    ) -> None:
        self.name = name
        self._cluster = cluster
        self._spec: dict[str, Any] = workload["spec"]["template"]["spec"]
        self._claims: list[str] = [
            claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])
        ]
        self._folder = cluster.folder / name
        self._places = {**cluster.places, **places}
        self._process: asyncio.subprocess.Process | PreloadedProcess | None = None

    @property
    def main(self) -> dict[str, Any]:
        """Return its only container that is not an init container."""
        (container,) = self._spec["containers"]
        return container

    @property
    def log(self) -> str:
        """Return the output of its containers."""
        path = self._folder / "log"
        return path.read_text() if path.exists() else ""

    def port(self, name: str) -> int:
        """Return the port of this machine for a named port of its container."""
        (port,) = [port for port in self.main["ports"] if port["name"] == name]
        return int(self._places[str(port["containerPort"])])

    async def start(self) -> None:
        """Write its files, run its init containers, and start its main container."""
        self._mount_all()
        for container in self._spec.get("initContainers", []):
            process = await self._run(container)
            async with asyncio.timeout(HANGS_AFTER_S):
                assert await process.wait() == 0, self.log
        self._process = await self._run(self.main)

    async def passes(self, probe: str) -> None:
        """Wait until a probe passes."""
        async with asyncio.timeout(HANGS_AFTER_S):
            while not await self.is_passing(probe):
                assert self._process is not None
                assert self._process.returncode is None, self.log
                await asyncio.sleep(POLL_S)

    async def is_passing(self, probe: str) -> bool:
        """Return whether a probe of the kubelet would succeed now."""
        action: dict[str, Any] = self.main[probe]
        with contextlib.suppress(OSError, httpx.HTTPError):
            if "tcpSocket" in action:
                port = self.port(action["tcpSocket"]["port"])
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return True
            url = f"http://127.0.0.1:{self.port(action['httpGet']['port'])}"
            async with http_client(timeout=10) as client:
                return (await client.get(url + action["httpGet"]["path"])).is_success
        return False

    async def stop(self) -> int:
        """Stop it as the kubelet does: run the preStop hook, send SIGTERM, return the exit code."""
        process = self._process
        assert process is not None
        before: dict[str, Any] = self.main.get("lifecycle", {}).get("preStop", {})
        if "exec" in before:
            # The hook may end the process before the signal.
            hook = await self._run({**self.main, "command": before["exec"]["command"]})
            async with asyncio.timeout(HANGS_AFTER_S):
                assert await hook.wait() == 0, self.log
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(float(self._spec["terminationGracePeriodSeconds"])):
            return await process.wait()

    async def kill(self) -> None:
        """Kill its processes."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def _run(
        self, container: Mapping[str, Any]
    ) -> asyncio.subprocess.Process | PreloadedProcess:
        argv = self._argv(container)
        env = command_environment(self._folder, self._environment(container))
        path = self._folder / "log"
        if argv[:2] == [sys.executable, "-m"]:
            return PreloadedProcess(
                Program(argv[2:], cwd=self._folder, env=env, stdout=path, stderr=path)
            )
        with path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *argv,
                cwd=self._folder,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _argv(self, container: Mapping[str, Any]) -> list[str]:
        first, *rest = container["command"]
        programs = {
            "pylon": [sys.executable, "-m", "pylon"],
            "python": [sys.executable],
            "nats-server": [nats_server_binary()],
        }
        return programs[first] + [self._here(container, argument) for argument in rest]

    def _environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        variables: dict[str, str] = {}
        for source in container.get("envFrom", []):
            name = source["configMapRef"]["name"]
            variables |= self._cluster.one("ConfigMap", name)["data"]
        for one in container.get("env", []):
            variables[one["name"]] = one.get("value", self.name)
        here = {name: self._here(container, value) for name, value in variables.items()}
        return {**here, **_NOT_AS_LONG, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def _here(self, container: Mapping[str, Any], text: str) -> str:
        """Return a text of the manifest with this machine's addresses."""
        text = text.replace("$(POD_NAME)", self.name)
        sources = {one["mountPath"]: str(self._source(one)) for one in container["volumeMounts"]}
        longest_first = sorted(sources, key=len, reverse=True)
        paths = re.compile(rf"(?<![\w/.-])({'|'.join(map(re.escape, longest_first))})(?![\w-])")
        return self._placed(paths.sub(lambda found: sources[found[1]], text))

    def _placed(self, text: str) -> str:
        if text in self._places:
            return self._places[text]
        for there, here in self._places.items():
            if ":" in there:
                text = text.replace(there, here)
        return text

    def _source(self, mount: Mapping[str, Any]) -> Path:
        folder = self._folder / "volumes" / str(mount["name"])
        return folder / mount["subPath"] if "subPath" in mount else folder

    def _mount_all(self) -> None:
        volumes = self._folder / "volumes"
        for name in [*self._claims, *(volume["name"] for volume in self._spec["volumes"])]:
            (volumes / name).mkdir(parents=True, exist_ok=True)
        for volume in self._spec["volumes"]:
            folder = volumes / volume["name"]
            for name, content in self._content(volume).items():
                (folder / name).write_bytes(content)
        # A mount inside the folder of another mount becomes a link.
        for mount in self.main["volumeMounts"]:
            for other in self.main["volumeMounts"]:
                above = Path(other["mountPath"]).parent
                place = Path(mount["mountPath"])
                if "subPath" in other and place.parent == above and "subPath" not in mount:
                    link = self._source(other).parent / place.name
                    if not os.path.lexists(link):
                        link.symlink_to(self._source(mount))

    def _content(self, volume: Mapping[str, Any]) -> dict[str, bytes]:
        if "projected" in volume:
            content: dict[str, bytes] = {}
            for source in volume["projected"]["sources"]:
                content |= self._content(source)
            return content
        if "secret" in volume:
            source = volume["secret"]
            name = source.get("secretName") or source["name"]
            data = self._cluster.one("Secret", name)["data"]
            paths = {one["key"]: one["path"] for one in source.get("items", [])}
            return {
                paths.get(key, key): base64.b64decode(text)
                for key, text in data.items()
                if not paths or key in paths
            }
        if "configMap" in volume:
            data = self._cluster.one("ConfigMap", volume["configMap"]["name"])["data"]
            return {name: self._placed(text).encode() for name, text in data.items()}
        return {}
