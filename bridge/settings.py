"""The settings of a bridge, read from `PYLON_…` variables and the `.env` file."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.environment_settings import json_list
from pylon_client.contract.topology import DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S

_ROOT_PATH: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_RESERVED_SEGMENTS: Final = frozenset({"api", "health", "metrics", "schema"})
"""First segments of the bridge's paths."""


class BridgeSettings(DeploymentSettings):
    """Settings of a bridge.

    Attributes:
        bridge_host: address to listen on.
        bridge_port: port to listen on; 0 lets the system choose.
        bridge_max_requests: maximum number of requests in progress that need the chain, and the
            same number of other requests. Half of it is divided equally among the identities and
            open access; the rest is shared.
        bridge_max_streams: maximum number of open event streams, and the same number of job
            streams; each at most a quarter of the connections. Half of it is divided equally among
            the identities and, for events, open access; the rest is shared.
        bridge_max_connections: maximum number of open connections; by default the process's limit
            of file descriptors minus 64, at most 16384.
        bridge_root_path: path prefix under which a proxy publishes the bridge, such as `/pylon`;
            the proxy may remove it or pass it on.
        bridge_trusted_proxies: addresses and networks of the proxies in front of the bridge, as a
            JSON list; their `X-Forwarded-Proto` and `X-Forwarded-For` headers are trusted.
        bridge_drain_seconds: seconds after the stop signal during which new requests are served
            with `Connection: close`, so that clients reconnect to another bridge.
        bridge_graceful_shutdown_seconds: seconds that requests in progress have to finish when the
            bridge stops; must be less than the grace period of the process manager.
        default_request_timeout_seconds: timeout of requests that specify none, in seconds.
        max_request_timeout_seconds: maximum timeout that a request can specify, in seconds.
    """

    bridge_host: str = "127.0.0.1"
    bridge_port: int = Field(default=8000, ge=0, le=65_535)
    bridge_max_requests: int = Field(default=1000, ge=1)
    bridge_max_streams: int = Field(default=1000, ge=1)
    bridge_max_connections: int | None = Field(default=None, ge=1)
    bridge_root_path: str = ""
    bridge_trusted_proxies: Annotated[
        list[IPv4Network | IPv6Network], NoDecode, json_list('["10.0.0.0/8"]')
    ] = Field(default_factory=list[IPv4Network | IPv6Network])
    bridge_drain_seconds: float = Field(default=0, ge=0, allow_inf_nan=False)
    bridge_graceful_shutdown_seconds: int = Field(default=20, ge=2)
    default_request_timeout_seconds: float = Field(
        default=DEFAULT_TIMEOUT_S, gt=0, allow_inf_nan=False
    )
    max_request_timeout_seconds: float = Field(default=MAX_TIMEOUT_S, gt=0, allow_inf_nan=False)

    @field_validator("bridge_root_path")
    @classmethod
    def _validate_root_path(cls, root_path: str) -> str:
        prefix = root_path.rstrip("/")
        if not prefix:
            return ""
        if not _ROOT_PATH.fullmatch(prefix):
            raise ValueError(
                f"{root_path!r} is not a path prefix: write it as in /pylon or /gateways/pylon"
            )
        if prefix.split("/")[1] in _RESERVED_SEGMENTS:
            raise ValueError(
                f"{root_path!r} cannot be distinguished from the bridge's own paths: the first "
                f"part must be none of {', '.join(sorted(_RESERVED_SEGMENTS))}"
            )
        return prefix

    @model_validator(mode="after")
    def _validate_timeouts(self) -> Self:
        if self.default_request_timeout_seconds > self.max_request_timeout_seconds:
            raise ValueError(
                "PYLON_DEFAULT_REQUEST_TIMEOUT_SECONDS: must not be longer than "
                "PYLON_MAX_REQUEST_TIMEOUT_SECONDS"
            )
        return self

    def request_timeout_s(self, requested_s: float | None) -> float:
        """Return the timeout of a request that specifies `requested_s` seconds, or None."""
        if requested_s is None:
            return self.default_request_timeout_seconds
        return min(requested_s, self.max_request_timeout_seconds)
