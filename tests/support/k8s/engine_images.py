"""Stand-ins for the pinned base images, under their digests, for machines without a registry.

The Python base is a Debian with the same minor version, the NATS base a busybox with the
nats-server of the tests. So the Dockerfile and the composition run unchanged.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.k8s.engine import Engine, NoEngineError, ended_well
from tests.support.nats.nats_server import nats_server_binary

ROOT = Path(__file__).parents[3]
_PATH = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = "ca-certificates,netbase,tzdata,python3,python3-venv"
_ENTRYPOINT = """\
#!/bin/sh
set -e
if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then set -- nats-server "$@"; fi
exec "$@"
"""


def pinned() -> tuple[str, str]:
    """Return the base images of Python and NATS, as `name:tag@digest`."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    (python,) = set(re.findall(r"^FROM (python:\S+)", dockerfile, re.MULTILINE))
    (nats,) = re.findall(r"image: (nats:\S+)", (ROOT / "docker-compose.yaml").read_text())
    return python, nats


def prepare(engine: Engine, cache: Path) -> Callable[[Path], None]:
    """Pull the base images, or import stand-ins for them.

    Returns:
        A function that gives the stand-ins the pinned digests, in the data of a stopped daemon.

    Raises:
        NoEngineError: they can neither be pulled nor made.
    """
    stand_ins: list[str] = []
    for image, make, settings in zip(pinned(), (_python, _nats), _SETTINGS, strict=True):
        attempts = (["image", "inspect", image], ["pull", image])
        if any(ended_well([engine.program, *argv], engine.environment) for argv in attempts):
            continue
        root = make(cache)
        archive = cache / f"{root.name}.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        changes = [part for change in settings for part in ("--change", change)]
        engine.run("import", *changes, str(archive), image.partition("@")[0])
        archive.unlink()
        stand_ins.append(image)

    def tag(data: Path) -> None:
        path = data / "image" / "overlay2" / "repositories.json"
        repositories = json.loads(path.read_text())
        for image in stand_ins:
            tagged, _, digest = image.partition("@")
            names = repositories["Repositories"][tagged.partition(":")[0]]
            names[f"{tagged.partition(':')[0]}@{digest}"] = names[tagged]
        path.write_text(json.dumps(repositories))

    return tag


_SETTINGS = (
    ['CMD ["python3"]', _PATH],
    ['ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["nats-server"]', _PATH],
)


def _python(cache: Path) -> Path:
    root = cache / "python"
    if (root / "etc/pip.conf").exists():
        return root
    debootstrap = _tool("debootstrap")
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if line
    )
    argv = [debootstrap, "--variant=minbase", f"--include={_PACKAGES}"]
    argv += [release["VERSION_CODENAME"], str(root), *_mirror()]
    shutil.rmtree(root, ignore_errors=True)
    made = subprocess.run(argv, check=False, stdout=subprocess.PIPE, text=True)
    if made.returncode:
        last = " ".join(made.stdout.splitlines()[-2:])
        raise NoEngineError(f"the base images cannot be pulled, and debootstrap failed: {last}")
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    # Within a build, packages are fetched with the certificates that this machine trusts.
    trusted = root / "usr/local/share/ca-certificates"
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(certificate, trusted)
    subprocess.run(["chroot", root, "update-ca-certificates"], check=True, capture_output=True)
    (root / "etc/uv").mkdir()
    (root / "etc/uv/uv.toml").write_text("system-certs = true\n")
    (root / "etc/pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
    return root


def _nats(cache: Path) -> Path:
    root = cache / "nats"
    if (root / "etc/passwd").exists():
        return root
    busybox = _tool("busybox")
    for folder in ("bin", "usr/local/bin", "etc/nats", "tmp", "run"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy(busybox, root / "bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for name in set(applets.stdout.split()) - {"busybox"}:
        (root / "bin" / name).symlink_to("/bin/busybox")
    shutil.copy(nats_server_binary(), root / "usr/local/bin/nats-server")
    entrypoint = root / "usr/local/bin/docker-entrypoint.sh"
    entrypoint.write_text(_ENTRYPOINT)
    entrypoint.chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return root


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise NoEngineError(
            f"the base images cannot be pulled, and {name} for stand-ins is not installed"
        )
    return path


def _mirror() -> list[str]:
    """Return the mirror of this system's packages, if it is configured."""
    sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in sources if path.is_file())
    found = re.findall(r"^(?:deb(?: \[[^\]]*\])?|URIs:) (https?:\S+)", text, re.MULTILINE)
    return [url for url in found if url.rstrip("/").endswith("/debian")][:1]
