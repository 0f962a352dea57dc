"""A Docker engine for tests that need one: the running one, or a temporary private one.

Where no image can be pulled, a private engine has stand-ins for the pinned base images, made of
this system's own packages; see `tests/support/k8s/engine_images.py`.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.product.eventually import HANGS_AFTER_S

ROOT = Path(__file__).parents[3]
CACHE = Path("~/.cache/pylon-test-engine").expanduser()
BRIDGE = Path("/sys/class/net/docker0")
BUILD_WITHIN_S = 1200
POLL_S = 0.2


class NoEngineError(Exception):
    """No engine runs here, and none can be started."""


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Attributes:
        host: its address, as in `DOCKER_HOST`; empty for the default.
        program: path of the command line.
    """

    host: str
    program: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of commands that use it."""
        reached = {"DOCKER_HOST": self.host} if self.host else {}
        return {**os.environ, **reached, "DOCKER_BUILDKIT": "1" if self._builds_in_kit() else "0"}

    @property
    def compose(self) -> list[str]:
        """Return the command of compose: the plugin, or the separate program."""
        if ended_well([self.program, "compose", "version"], self.environment):
            return [self.program, "compose"]
        if program := shutil.which("docker-compose"):
            return [program]
        raise NoEngineError("neither `docker compose` nor `docker-compose` is installed")

    def run(self, *arguments: str, **more: str) -> str:
        """Run a command of `docker`, and return its output; `more` are variables."""
        return output([self.program, *arguments], {**self.environment, **more})

    def _builds_in_kit(self) -> bool:
        # From version 23 on the client needs a plugin for it.
        version = output([self.program, "--version"], os.environ)  # Docker version 20.10.24, …
        is_old = int(version.split()[2].split(".")[0]) < 23
        return is_old or ended_well([self.program, "buildx", "version"], os.environ)


def output(argv: list[str], environment: Mapping[str, str], folder: Path = ROOT) -> str:
    """Run a command that must exit with code 0, and return both of its outputs."""
    done = subprocess.run(
        argv,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout.strip()


def ended_well(argv: list[str], environment: Mapping[str, str]) -> bool:
    """Run a command, and return whether it exits with code 0 within a minute."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=60, check=False)
        return done.returncode == 0
    return False


@contextlib.contextmanager
def engine() -> Generator[Engine]:
    """Yield the running engine, or a private one that ends with the block.

    Raises:
        NoEngineError: no engine could be found or started; the text says why.
    """
    # Prefer the client from the package of dockerd: it has the same version.
    candidates = [path for path in ("/usr/bin/docker", shutil.which("docker")) if path]
    programs = [path for path in candidates if Path(path).exists()]
    if not programs:
        raise NoEngineError("docker is not installed")
    running = Engine(os.environ.get("DOCKER_HOST", ""), programs[0])
    if ended_well([running.program, "version"], running.environment):
        yield running
        return
    with _private(programs[0]) as private:
        yield private


@contextlib.contextmanager
def _private(program: str) -> Generator[Engine]:
    from tests.support.k8s.engine_images import prepare  # which needs this module

    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise NoEngineError("no engine runs, and a private one needs dockerd and root")
    CACHE.mkdir(parents=True, exist_ok=True)
    with _networks_as_before(), tempfile.TemporaryDirectory(prefix="pylon-engine-") as folder:
        private = Engine(f"unix://{folder}/docker.sock", program)
        with _daemon(private, Path(folder)):
            name_by_digests = prepare(private, CACHE)
        # The daemon reads at its start which images the digests name.
        name_by_digests(CACHE / "data")
        with _daemon(private, Path(folder)):
            yield private


@contextlib.contextmanager
def _networks_as_before() -> Generator[None]:
    """Remove the interface and the rules that dockerd creates and leaves behind."""
    tools = {name: shutil.which(name) for name in ("ip", "iptables-save", "iptables-restore")}
    had_bridge = BRIDGE.exists()
    rules = subprocess.run([tools["iptables-save"] or "true"], capture_output=True, check=False)
    try:
        yield
    finally:
        if not had_bridge and tools["ip"]:
            subprocess.run([tools["ip"], "link", "delete", BRIDGE.name], check=False)
        if rules.returncode == 0 and tools["iptables-restore"]:
            # The saved rules leave out tables that were empty: empty these first.
            empty = b"*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n*nat\nCOMMIT\n"
            for text in (empty, rules.stdout):
                subprocess.run([tools["iptables-restore"]], input=text, check=False)


@contextlib.contextmanager
def _daemon(private: Engine, folder: Path) -> Generator[None]:
    argv = ["dockerd", "--host", private.host, "--data-root", str(CACHE / "data")]
    argv += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "docker.pid")]
    # Networks that no other program uses.
    argv += ["--bip", "172.29.0.1/24", "--default-address-pool", "base=172.28.0.0/16,size=24"]
    with (folder / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    try:
        until_s = time.monotonic() + HANGS_AFTER_S
        while not ended_well([private.program, "version"], private.environment):
            if process.poll() is not None or time.monotonic() > until_s:
                last = (folder / "dockerd.log").read_text().splitlines()[-3:]
                raise NoEngineError(f"dockerd does not start: {' '.join(last)}")
            time.sleep(POLL_S)
        yield
    finally:
        process.terminate()
        process.wait(HANGS_AFTER_S)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    ends_at_s = time.monotonic() + HANGS_AFTER_S
    while not is_so():
        assert time.monotonic() < ends_at_s, "it did not come true"
        time.sleep(POLL_S)
