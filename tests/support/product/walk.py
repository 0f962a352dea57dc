"""A walk: an end-to-end scenario of the whole product in small steps, one kind of user at a time.

A step is a function that checks one behaviour, which its sentence describes. Steps run in order on
one product; a step may depend on earlier ones.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from pylon.cli.up.devnet_identities import devnet_settings, identity_token
from pylon_client.v1 import AsyncConfig, AsyncPylonClient, JobId
from tests.support.product.http_client import http_client
from tests.support.product.product import Product
from tests.support.product.pylon_command import Ended, pylon_command
from tests.support.product.secret_texts import secret_of

METRICS_TOKEN: Final = secret_of("metrics")
NEURONS: Final = "/api/v1/subnet/1/block/latest/neurons"


@dataclass
class Walk:
    """The product, and values that steps pass to later steps.

    Attributes:
        product: the running product.
        worker_port: port of the worker's health and metrics.
        seen: values of earlier steps, by name.
    """

    product: Product
    worker_port: int
    seen: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def worker_url(self) -> str:
        return f"http://127.0.0.1:{self.worker_port}"

    async def get(self, path: str, identity: str | None = None, **options: Any) -> httpx.Response:
        """Send a GET to the REST API, with the token of an identity or without a token."""
        if identity is not None:
            options["headers"] = _bearer(identity_token(identity)) | options.get("headers", {})
        return await self.product.get(path, **options)

    async def send(
        self, verb: str, path: str, identity: str | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request with any method to the REST API."""
        if identity is not None:
            options["headers"] = _bearer(identity_token(identity)) | options.get("headers", {})
        async with http_client(self.product.url) as client:
            return await client.request(verb, path, **options)

    async def metrics(self, url: str) -> str:
        """Return the text that a process serves at `/metrics`."""
        async with http_client() as client:
            response = await client.get(f"{url}/metrics", headers=_bearer(METRICS_TOKEN))
        assert response.status_code == 200
        return response.text

    async def worker_get(self, path: str) -> httpx.Response:
        """Send a GET to the worker's own port."""
        async with http_client(self.worker_url) as client:
            return await client.get(path)

    @asynccontextmanager
    async def client(
        self, identity: str | None = None, *, over_nats: bool = False, **more: Any
    ) -> AsyncGenerator[AsyncPylonClient]:
        address = self.product.nats_url if over_nats else self.product.url
        if identity is not None:
            more |= {"identity_name": identity, "identity_token": identity_token(identity)}
        async with AsyncPylonClient(AsyncConfig(address=address, **more)) as client:
            yield client

    async def command(self, *arguments: str, **variables: str) -> Ended:
        """Run `pylon …` in the product's folder, with its operator's variables."""
        port = self.product.devnet_port
        settings = devnet_settings(f"ws://127.0.0.1:{port}", self.product.folder / "home", 0.5)
        return await pylon_command(
            self.product.folder, settings | {"PYLON_HOME": "home"} | variables, *arguments
        )

    async def control(self, path: str, **parameters: Any) -> Any:
        """Send a request to the control API of the simulated chain."""
        return await self.product.devnet.control("POST", path, **parameters)

    def job(self, name: str) -> JobId:
        """Return the id of a job that an earlier step has created."""
        return JobId(self.seen[name])


Check = Callable[[Walk], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """One step: its kind of user, the expected behaviour as a sentence, and its check."""

    user: str
    behaviour: str
    check: Check


class Steps:
    """The steps of one kind of user, in the order in which they are written.

    Args:
        user: the kind of user, for the names of the steps.
    """

    def __init__(self, user: str) -> None:
        self._user = user
        self._steps: list[Step] = []

    def __call__(self, behaviour: str) -> Callable[[Check], Check]:
        """Add a step."""

        def add(check: Check) -> Check:
            self._steps.append(Step(self._user, behaviour, check))
            return check

        return add

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)


def problem(response: httpx.Response, status: int, code: str) -> str:
    """Check that a response is this failure; return its text."""
    body = response.json()
    assert (response.status_code, body["status_code"], body["code"]) == (status, status, code)
    assert "Traceback" not in json.dumps(body)
    return str(body["detail"])


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
