"""NATS service discovery (ADR-32): `nats micro` finds workers and shows their statistics."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pylon.common.distribution import service_version
from pylon_client.contract import json_codec
from pylon_client.contract.operations import NATS_OPERATIONS, Scope
from pylon_client.contract.subjects import ROOT
from pylon_client.contract.topology import QUEUE_GROUP

SERVICE_NAME: Final = "pylon"
_DISCOVERY_ROOT = "$SRV"


@dataclass(slots=True)
class EndpointStatistics:
    """Statistics of one operation in one scope, since the start of this worker.

    Attributes:
        requests: number of executed requests.
        errors: number of failed requests.
        processing_ns: sum of their durations, in nanoseconds.
        last_error: code and text of the last error; empty without one.
    """

    requests: int = 0
    errors: int = 0
    processing_ns: int = 0
    last_error: str = ""

    def record(self, processing_ns: int, error: str = "") -> None:
        """Count one executed request; `error` is the code and text of its error."""
        self.requests += 1
        self.processing_ns += processing_ns
        if error:
            self.errors += 1
            self.last_error = error


@dataclass(frozen=True, slots=True)
class ServiceDiscovery:
    """The identity and the statistics of this worker, as NATS service discovery defines them.

    Attributes:
        endpoints: the statistics of each operation in each of its scopes.
        id: random id of this worker, new at each start.
        started: when the worker started.
    """

    endpoints: dict[tuple[Scope, str], EndpointStatistics] = field(
        default_factory=lambda: {
            (scope, operation.name): EndpointStatistics()
            for operation in NATS_OPERATIONS
            for scope in sorted(operation.scopes)
        }
    )
    id: str = field(default_factory=lambda: secrets.token_hex(11))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return the subjects of requests to all services, to this service, and to this worker."""
        return (
            f"{_DISCOVERY_ROOT}.*",
            f"{_DISCOVERY_ROOT}.*.{SERVICE_NAME}",
            f"{_DISCOVERY_ROOT}.*.{SERVICE_NAME}.{self.id}",
        )

    def respond(self, subject: str) -> bytes | None:
        """Return the JSON response to a request, or None if the verb of the subject is unknown."""
        match subject.split(".", 2)[1]:
            case "PING":
                return json_codec.encode(self._identity_fields("ping"))
            case "INFO":
                return json_codec.encode(self._info())
            case "STATS":
                return json_codec.encode(self._stats())
            case _:
                return None

    def _identity_fields(self, kind: str) -> dict[str, Any]:
        return {
            "type": f"io.nats.micro.v1.{kind}_response",
            "name": SERVICE_NAME,
            "id": self.id,
            "version": service_version(),
            "metadata": {},
        }

    def _info(self) -> dict[str, Any]:
        return {
            **self._identity_fields("info"),
            "description": "A gateway to the Bittensor chain",
            "endpoints": [
                _endpoint(scope, name) | {"metadata": {}} for scope, name in self.endpoints
            ],
        }

    def _stats(self) -> dict[str, Any]:
        return {
            **self._identity_fields("stats"),
            "started": self.started.isoformat().replace("+00:00", "Z"),
            "endpoints": [
                _endpoint(scope, name)
                | {
                    "num_requests": counts.requests,
                    "num_errors": counts.errors,
                    "last_error": counts.last_error,
                    "processing_time": counts.processing_ns,
                    "average_processing_time": counts.processing_ns // max(counts.requests, 1),
                }
                for (scope, name), counts in self.endpoints.items()
            ],
        }


def _endpoint(scope: Scope, operation: str) -> dict[str, Any]:
    return {
        "name": f"{scope}-{operation.replace('.', '-')}",
        "subject": f"{ROOT}.{scope}.*.{operation}",
        "queue_group": QUEUE_GROUP,
    }
