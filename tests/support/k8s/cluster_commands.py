"""Fakes of `docker`, `kubectl` and `helm`, limited to the commands of the production page.

The first argument is the command. The cluster is the folder $CLUSTER, with one file per object. The
fakes refuse namespaces, images and charts that do not exist yet, as a cluster does.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.k8s.kustomize import load, render, variables, without_hash

CLUSTER = Path(os.environ["CLUSTER"])


def keep(kind: str, name: str, content: object) -> None:
    folder = CLUSTER / kind
    folder.mkdir(exist_ok=True)
    (folder / f"{name.replace('/', '_')}.json").write_text(json.dumps(content))


def need(kind: str, name: str) -> None:
    if not (CLUSTER / kind / f"{name.replace('/', '_')}.json").exists():
        sys.exit(f"there is no {kind} {name} yet")


def docker(argv: list[str]) -> None:
    verb, *rest = argv
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-t", dest="tag")
    parser.add_argument("--rm", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("-v", dest="volume")
    parser.add_argument("--env-file", action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(rest)
    if verb == "build":
        assert (Path(options.image) / "Dockerfile").exists()
        keep("built image", options.tag, {})
    elif verb == "push":
        need("built image", options.image)
        keep("image", options.image, {})
    else:
        assert verb == "run"
        need("built image", options.image)
        here, there, _ = options.volume.split(":")
        settings: dict[str, str] = {}
        for file in options.env_file:
            settings |= variables(Path(file).read_text())
        settings = {name: value.replace(there, here) for name, value in settings.items()}
        program, *arguments = options.command
        argv = [sys.executable, "-m", program, *arguments]
        subprocess.run(argv, env={**os.environ, **settings}, check=True)


def kubectl(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-n", dest="namespace")
    parser.add_argument("--from-file", action="append", default=[])
    parser.add_argument("--dry-run")
    parser.add_argument("-o", dest="output")
    parser.add_argument("-f", dest="file")
    parser.add_argument("-k", dest="folder", type=Path)
    parser.add_argument("words", nargs="+")
    options = parser.parse_intermixed_args(argv)
    match options.words:
        case ["create", "secret", "generic", name]:
            metadata = {"name": name, "namespace": options.namespace}
            secret = {"kind": "Secret", "metadata": metadata, "data": from_files(options.from_file)}
            if options.dry_run == "client" and options.output == "yaml":
                yaml.safe_dump(secret, sys.stdout)
            else:
                apply(secret)
        case ["apply"] if options.folder:
            for manifest in sorted(
                render(options.folder), key=lambda one: one["kind"] != "Namespace"
            ):
                apply(manifest)
        case ["apply"] if options.file == "-":
            apply(yaml.safe_load(sys.stdin))
        case ["apply"]:
            for manifest in load(Path(options.file)):
                apply(manifest)
        case ["rollout", "restart", *workloads]:
            for workload in workloads:
                kind, name = workload.split("/")
                need(kind, name)
        case words:
            sys.exit(f"kubectl {words} is not known here")


def from_files(sources: list[str]) -> dict[str, str]:
    files: dict[str, Path] = {}
    for source in sources:
        key, _, path = source.rpartition("=")
        if Path(path).is_dir():
            files |= {file.name: file for file in Path(path).iterdir()}
        else:
            files[key or Path(path).name] = Path(path)
    return {key: base64.b64encode(file.read_bytes()).decode() for key, file in files.items()}


def apply(manifest: dict[str, Any]) -> None:
    if manifest["kind"] != "Namespace":
        need("namespace", manifest["metadata"]["namespace"])
    keep(manifest["kind"].lower(), without_hash(manifest["metadata"]["name"]), manifest)


def helm(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--version")
    parser.add_argument("-n", dest="namespace")
    parser.add_argument("-f", dest="values", type=Path)
    parser.add_argument("words", nargs="+")
    options = parser.parse_intermixed_args(argv)
    match options.words:
        case ["repo", "add", name, url]:
            keep("repository", name, url)
        case ["upgrade", release, chart] if options.install:
            need("repository", chart.partition("/")[0])
            need("namespace", options.namespace)
            values = yaml.safe_load(options.values.read_text())
            keep("release", release, {"version": options.version, "values": values})
        case words:
            sys.exit(f"helm {words} is not known here")


if __name__ == "__main__":
    {"docker": docker, "kubectl": kubectl, "helm": helm}[sys.argv[1]](sys.argv[2:])
