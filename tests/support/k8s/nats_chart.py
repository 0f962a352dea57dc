"""Render the official NATS chart, limited to the values that this project sets.

Modelled on the chart's own templates (nats-io/k8s, helm/charts/nats): its own lists, its names, and
its rules for `merge` and `patch`.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
CONFIG_FOLDER = "/etc/nats-config"
PORTS = {"nats": 4222, "cluster": 6222, "monitor": 8222}
# Where the chart knows a value, and where it takes a `merge` and a `patch`.
VALUES = frozenset(
    {
        *("fullnameOverride", "config.cluster.enabled", "config.cluster.replicas"),
        *("config.jetstream.enabled", "config.jetstream.fileStore.pvc.size"),
        *("config.jetstream.fileStore.maxSize", "container.env.GOMEMLIMIT"),
        *(
            "config.monitor.enabled",
            "container.image.tag",
            "reloader.enabled",
        ),
        *("podTemplate.topologySpreadConstraints", "promExporter.enabled"),
        *("promExporter.podMonitor.enabled", "natsBox.enabled"),
    }
)
EXTENSIBLE = frozenset(
    {
        *("config", "config.cluster", "config.jetstream", "container", "podTemplate"),
        *("reloader", "promExporter"),
    }
)


def names_of(values: Values, prefix: str = "") -> Iterator[str]:
    """Return the names of values, as deep as the chart itself reads them."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        is_free = name in {"merge", "patch"} and prefix.rstrip(".") in EXTENSIBLE
        if isinstance(value, dict) and path not in VALUES and not is_free:
            yield from names_of(value, f"{path}.")  # pyright: ignore[reportUnknownArgumentType] -- YAML
        elif not is_free:
            yield path


@dataclass(frozen=True)
class Chart:
    """The resources that the chart renders from values."""

    values: Values

    @property
    def name(self) -> str:
        """Return the name of the StatefulSet and of its Service; the governing one is headless."""
        return self.values["fullnameOverride"]

    @property
    def hosts(self) -> dict[str, set[int]]:
        """Return every host name of the servers, and the open ports there."""
        governing = f"{self.name}-headless"
        replicas: int = self.values["config"]["cluster"]["replicas"]
        of_pods = [f"{self.name}-{number}.{governing}" for number in range(replicas)]
        return {
            self.name: {PORTS["nats"]},
            **{host: set(PORTS.values()) for host in (governing, *of_pods)},
        }

    @property
    def container(self) -> dict[str, Any]:
        """Return the server's container."""
        own = {
            "name": "nats",
            "args": ["--config", f"{CONFIG_FOLDER}/nats.conf"],
            "ports": [{"name": name, "containerPort": port} for name, port in PORTS.items()],
            "volumeMounts": [
                {"name": "config", "mountPath": CONFIG_FOLDER},
                {"name": "pid", "mountPath": "/var/run/nats"},
                {"name": f"{self.name}-js", "mountPath": "/data"},
            ],
        }
        return _extended(own, self.values["container"])

    @property
    def reloader(self) -> dict[str, Any]:
        """Return the container that makes the server reload its files when they change."""
        shared = [one for one in self.container["volumeMounts"] if one["mountPath"][:5] == "/etc/"]
        watched = ["nats.conf", *self._included()]
        own = {
            "name": "reloader",
            "args": [part for name in watched for part in ("-config", _clean(name))],
            "volumeMounts": [{"name": "pid", "mountPath": "/var/run/nats"}, *shared],
        }
        return _extended(own, self.values["reloader"])

    @property
    def pod(self) -> dict[str, Any]:
        """Return the template of the servers' pods."""
        exporter = _extended(
            {"name": "prom-exporter", "ports": [{"name": "prom-metrics", "containerPort": 7777}]},
            self.values["promExporter"],
        )
        own = {
            "metadata": {"labels": {"app.kubernetes.io/name": "nats"}},
            "spec": {
                "containers": [self.container, self.reloader, exporter],
                "volumes": [
                    {"name": "config", "configMap": {"name": f"{self.name}-config"}},
                    {"name": "pid", "emptyDir": {}},
                ],
            },
        }
        return _extended(own, self.values["podTemplate"])

    @property
    def claims(self) -> set[str]:
        """Return the volume claims of each pod."""
        return {f"{self.name}-js"}

    @property
    def conf(self) -> str:
        """Return the server's nats.conf, which includes further files."""
        lines = json.dumps(self._config(), indent=2, sort_keys=True)
        lines = re.sub(r'"[^"]*\$include": "(.*)",?', r"include \1;", lines)
        return re.sub(r'"<< (.*) >>"', r"\1", lines)

    def _config(self) -> dict[str, Any]:
        values = self.values["config"]
        routes = [f"nats://{host}:{PORTS['cluster']}" for host in self.hosts if "." in host]
        cluster = {
            "name": self.name,
            "port": PORTS["cluster"],
            "no_advertise": True,
            "routes": routes,
        }
        jetstream = {
            "store_dir": "/data",
            "max_memory_store": 0,
            "max_file_store": f"<< {values['jetstream']['fileStore']['maxSize']} >>",
        }
        own = {
            "server_name": "<< $SERVER_NAME >>",
            "lame_duck_grace_period": "10s",
            "lame_duck_duration": "30s",
            "pid_file": "/var/run/nats/nats.pid",
            "port": PORTS["nats"],
            "http_port": PORTS["monitor"],
            "cluster": _extended(cluster, values["cluster"]),
            "jetstream": _extended(jetstream, values["jetstream"]),
        }
        return _extended(own, values)

    def _included(self) -> list[str]:
        return [value for name, value in self._config().items() if name.endswith("$include")]


def _clean(path: str) -> str:
    return re.sub(r"/[^/]+/\.\./", "/", f"{CONFIG_FOLDER}/{path}")


def _extended(own: dict[str, Any], values: Values) -> dict[str, Any]:
    result = _overwritten(copy.deepcopy(own), values.get("merge", {}))
    for change in values.get("patch", []):
        assert change["op"] == "add"
        _add(result, change["path"].split("/")[1:], change["value"])
    return result


def _overwritten(old: dict[str, Any], new: Values) -> dict[str, Any]:
    """Merge as sprig's `mergeOverwrite`: maps are merged, all other values are replaced."""
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            _overwritten(old[name], value)  # pyright: ignore[reportUnknownArgumentType] -- YAML
        else:
            old[name] = value
    return old


def _add(document: Any, path: list[str], value: Any) -> None:
    *parents, last = path
    for name in parents:
        document = document[int(name) if isinstance(document, list) else name]
    if isinstance(document, list):
        document.insert(len(document) if last == "-" else int(last), value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] -- YAML
    else:
        document[last] = value
