"""An index of the routes by the segments of their paths.

The framework tries all routes in turn, which takes longer than everything else about a short
request. The index finds the few whose paths can match, and leaves the rest to the framework.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from bridge.root_path import route_path


@dataclass(slots=True)
class _Node:
    """The routes whose paths begin with the same segments.

    Attributes:
        fixed: nodes of the next segment, by its text.
        parameter: node of the next segment if it is a parameter.
        routes: positions of the routes that end here.
    """

    fixed: "dict[str, _Node]" = field(default_factory=dict[str, "_Node"])
    parameter: "_Node | None" = None
    routes: list[int] = field(default_factory=list[int])


class RouteIndex:
    """An ASGI app that passes a request to the routes that can match its path.

    Routes with the same segments are handled by a router of their own, in their order. Requests
    without such routes are handled by the whole router, as are mounted apps.

    Args:
        router: router with all routes, which are complete.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._routes = list(router.routes)
        self._root = _Node()
        for position, route in enumerate(self._routes):
            # Parameters with a convertor may match several segments.
            if isinstance(route, Route) and ":" not in route.path:
                self._add(route.path, position)
        self._routers: dict[tuple[int, ...], APIRouter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; ASGI's entry point."""
        scope["router"] = self._router
        if scope["type"] == "http":
            await self._router_of(route_path(scope)).app(scope, receive, send)
        else:
            await self._router.app(scope, receive, send)

    def candidates(self, path: str) -> list[BaseRoute]:
        """Return the routes that can match a path, in their order."""
        return [self._routes[position] for position in self._positions(path)]

    def _add(self, path: str, position: int) -> None:
        node = self._root
        for segment in path.split("/"):
            if "{" not in segment:
                node = node.fixed.setdefault(segment, _Node())
            else:
                node.parameter = node.parameter or _Node()
                node = node.parameter
        node.routes.append(position)

    def _positions(self, path: str) -> tuple[int, ...]:
        nodes = [self._root]
        for segment in path.split("/"):
            nodes = list(_next_nodes(nodes, segment))
        return tuple(sorted(position for node in nodes for position in node.routes))

    def _router_of(self, path: str) -> APIRouter:
        positions = self._positions(path)
        if not positions:
            return self._router
        router = self._routers.get(positions)
        if router is None:
            router = self._routers[positions] = APIRouter(redirect_slashes=False)
            router.routes.extend(self._routes[position] for position in positions)
        return router


def _next_nodes(nodes: Iterable[_Node], segment: str) -> Iterable[_Node]:
    for node in nodes:
        fixed = node.fixed.get(segment)
        if fixed is not None:
            yield fixed
        if node.parameter is not None:
            yield node.parameter
