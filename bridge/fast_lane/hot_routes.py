"""The routes of the fast lane: the exact paths of hot reads."""

import logging
import re
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel

from bridge.access_log import FrequentRequestLog
from bridge.auth import Authenticator
from bridge.fast_lane.rendered_responses import HotHealth, HotRead, HotResource
from bridge.http_metrics import BridgeMetrics, RequestOutcome
from bridge.memory.memory_reads import MemoryReads
from bridge.response_builder import ResponseBuilder
from bridge.routes.service_routes import HEALTH_PATH
from bridge.routes.unstable_routes import unstable_paths
from bridge.settings import BridgeSettings
from pylon_client.contract.headers import SOURCE_MEMORY
from pylon_client.contract.operation import NoParams, Operation, Scope
from pylon_client.contract.reads import (
    LATEST_BLOCK,
    LATEST_NEURONS,
    LATEST_VALIDATORS,
    RECENT_NEURONS,
)
from pylon_client.contract.types import IdentityName, NetUid

_SUBNET_READS: Final = (LATEST_NEURONS, LATEST_VALIDATORS, RECENT_NEURONS)
_NETUID_PARAM: Final = "{netuid}"
_BEARER: Final = b"Bearer "

_AnyRead = Operation[NoParams, BaseModel]


class HotRoute:
    """One exact path of the fast lane.

    Args:
        resource: the resource at the path.
        is_allowed: returns whether a request with this `Authorization` header may read it.
        metrics: metrics to update.
        template: path of the framework's route, the label of its metrics.
        path: path of the requests, as it is logged.
        log_level: log level of the requests.
    """

    def __init__(
        self,
        resource: HotResource,
        is_allowed: Callable[[bytes | None], bool],
        metrics: BridgeMetrics,
        *,
        template: str,
        path: str,
        log_level: int = logging.INFO,
    ) -> None:
        self.resource: Final = resource
        self.is_allowed: Final = is_allowed
        self._metrics = metrics
        self._template = template
        self._path = path
        self._log_level = log_level
        self._outcomes: dict[tuple[str, int], tuple[RequestOutcome, FrequentRequestLog]] = {}
        # The framework's route counts its requests in progress; both are one series.
        metrics.requests_in_progress("GET", template)

    def outcome(self, method: str, status: int) -> tuple[RequestOutcome, FrequentRequestLog]:
        """Return the counters and the access log of requests that end with a status."""
        outcome = self._outcomes.get((method, status))
        if outcome is None:
            outcome = self._outcomes[method, status] = (
                self._metrics.outcome(method, self._template, status),
                FrequentRequestLog(self._log_level, method, self._path, status),
            )
        return outcome


class HotRoutes:
    """Finds the route of an exact path.

    Paths of subnets are added when their first reply is held, so there are no more routes than
    subnets that are tracked.

    Args:
        settings: settings of the bridge.
        authenticator: checks the tokens.
        memory: replies that the bridge holds.
        builder: creates the responses.
        metrics: metrics to update.
        is_connected: returns whether the connection to NATS is established.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        authenticator: Authenticator,
        memory: MemoryReads,
        builder: ResponseBuilder,
        metrics: BridgeMetrics,
        is_connected: Callable[[], bool],
    ) -> None:
        self._authenticator = authenticator
        self._memory = memory
        self._builder = builder
        self._metrics = metrics
        self._count_read = metrics.read_replies.labels(SOURCE_MEMORY).inc
        self._root_path = settings.bridge_root_path
        self._routes: dict[bytes, HotRoute] = {}
        self._add(
            HEALTH_PATH,
            HEALTH_PATH,
            HotHealth(is_connected),
            lambda _: True,
            log_level=logging.DEBUG,
        )
        for template in _templates(LATEST_BLOCK, Scope.OPEN):
            self._add_read(template, template, LATEST_BLOCK, None, None)
        for name, identity in settings.identity_settings.items():
            for operation in _SUBNET_READS:
                for template in _templates(operation, Scope.IDENTITY):
                    path = template.format(identity_name=name, netuid=identity.netuid)
                    self._add_read(template, path, operation, identity.netuid, name)
        self._subnet_templates = {
            tuple(template.split(_NETUID_PARAM)): (template, operation)
            for operation in _SUBNET_READS
            for template in _templates(operation, Scope.OPEN)
        }
        starts, ends = (
            "|".join(sorted({re.escape(parts[index]) for parts in self._subnet_templates}))
            for index in (0, 1)
        )
        prefix = re.escape(self._root_path)
        self._subnet_path = re.compile(
            f"(?:{prefix})?(?P<start>{starts})(?P<netuid>0|[1-9][0-9]{{0,4}})(?P<end>{ends})"
        )

    def find(self, path: bytes) -> HotRoute | None:
        """Return the route of a path; None if the path is another one."""
        return self._routes.get(path) or self._find_subnet(path)

    def _find_subnet(self, path: bytes) -> HotRoute | None:
        found = self._subnet_path.fullmatch(path.decode("latin-1"))
        if found is None:
            return None
        parts = (found["start"], found["end"])
        if parts not in self._subnet_templates:
            return None
        template, operation = self._subnet_templates[parts]
        netuid = NetUid(int(found["netuid"]))
        if self._memory.latest(operation.name, netuid) is None:
            return None
        self._add_read(template, template.format(netuid=netuid), operation, netuid, None)
        return self._routes.get(path)

    def _add_read(
        self,
        template: str,
        path: str,
        operation: _AnyRead,
        netuid: NetUid | None,
        identity: IdentityName | None,
    ) -> None:
        needs_token = identity is not None or self._authenticator.open_access_needs_token
        read = HotRead(
            self._memory,
            self._builder,
            operation=operation.name,
            netuid=netuid,
            is_private=needs_token,
            count_read=self._count_read,
        )
        self._add(template, path, read, self._guard(identity) if needs_token else lambda _: True)

    def _add(
        self,
        template: str,
        path: str,
        resource: HotResource,
        is_allowed: Callable[[bytes | None], bool],
        log_level: int = logging.INFO,
    ) -> None:
        logged_path = f"{self._root_path}{path}"
        route = HotRoute(
            resource,
            is_allowed,
            self._metrics,
            template=template,
            path=logged_path,
            log_level=log_level,
        )
        # A proxy may remove the prefix or pass it on.
        self._routes[path.encode()] = self._routes[logged_path.encode()] = route

    def _guard(self, identity: IdentityName | None) -> Callable[[bytes | None], bool]:
        authenticator = self._authenticator

        def is_allowed(authorization: bytes | None) -> bool:
            if authorization is None or not authorization.startswith(_BEARER):
                return False
            token = authorization[len(_BEARER) :]
            if identity is None:
                return authenticator.grants_open_access(token)
            return authenticator.is_token_of(identity, token)

        return is_allowed


def _templates(operation: _AnyRead, scope: Scope) -> tuple[str, ...]:
    return (operation.rest_path(scope), *unstable_paths(operation, scope))
