"""Whether a worker lives, whether it could do its work, and its metrics: HTTP for machines."""

import asyncio
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from pydantic import SecretStr
from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.http11 import Request, Response

from pylon.blocks.last_published import LastPublished
from pylon.blocks.leadership import Leadership
from pylon.blocks.snapshots import Snapshots
from pylon.chain.chain_guard import ChainGuard
from pylon.common.process_metrics import CONTENT_TYPE, metrics_access_error
from pylon.common.task_supervisor import Supervisor
from pylon.jetstream.stream_keeper import StreamKeeper
from pylon.jetstream.write_health import STORAGE_REMEDY, WriteHealth
from pylon.jobs.signer_directory import SignerDirectory
from pylon.rpc.request_server import RequestService
from pylon.worker.loop_thread import LoopThread
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.topology import EVENTS, JOB_QUEUE, JOB_STORE
from pylon_client.nats.nats_connection import NatsConnection

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0


class RequestsPort(Protocol):
    """The part of a worker that answers requests."""

    connection: NatsConnection | None
    service: RequestService | None


@dataclass
class WorkerHealth:
    """What a worker's probes look at.

    Attributes:
        snapshots: know how old the chain's head is.
        last_published: the newest published block.
        write_health: records whether JetStream stores what is written.
        head_max_age_s: how old it, or a published block that is too far behind it, may be for a
            worker that is ready.
        head_max_lag_blocks: how many blocks the newest published block may be behind it.
        connection: to NATS, for all but requests, once it exists.
        request_server: answers requests, with a connection to NATS of its own; once it exists.
        request_thread: the thread that it runs on.
        stream_keeper: keeps the streams, once there is a connection.
        leadership: decides whether it publishes, once there is a connection.
        essential_tasks: what must not end before the worker does.
        supervisor: restarts the parts of the worker that fail.
        guard: refuses nodes of another chain.
        problems: what keeps it from its work for as long as it runs.
        signer_directory: which identities something can sign for.
    """

    snapshots: Snapshots
    last_published: LastPublished
    write_health: WriteHealth
    head_max_age_s: float
    head_max_lag_blocks: int
    connection: NatsConnection | None = None
    request_server: RequestsPort | None = None
    request_thread: LoopThread | None = None
    stream_keeper: StreamKeeper | None = None
    leadership: Leadership | None = None
    essential_tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    supervisor: Supervisor | None = None
    guard: ChainGuard | None = None
    problems: list[str] = field(default_factory=list[str])
    signer_directory: SignerDirectory | None = None

    def liveness_problems(self) -> list[str]:
        """Why the worker should be started anew."""
        ended = [f"{task.get_name()} has ended" for task in self.essential_tasks if task.done()]
        failing = [] if self.supervisor is None else self.supervisor.failing
        stalls = [] if self.leadership is None else self.leadership.problems
        blocked = [] if self.request_thread is None else self.request_thread.problems
        failing = [f"{name} fails after every restart" for name in failing]
        return [*ended, *failing, *stalls, *blocked]

    def readiness_problems(self) -> list[str]:
        """Why the worker is not ready, or not any more."""
        problems = list(self.problems)
        if self.guard is not None:
            problems += self.guard.problems
        requests = None if self.request_server is None else self.request_server.connection
        if not all(each is not None and each.is_connected for each in (self.connection, requests)):
            problems.append("no connection to NATS")
        service = None if self.request_server is None else self.request_server.service
        if service is None or not service.is_serving:
            problems.append("not serving")
        age_s = self.snapshots.head_age_s
        if age_s is None:
            problems.append("the chain was not heard of yet")
        elif age_s > self.head_max_age_s:
            problems.append(f"the chain's head is {age_s:.0f} s old")
        if self.stream_keeper is not None:
            problems += self.stream_keeper.problems
        if (
            not_stored := self.write_health.describe_problem(
                EVENTS.name, JOB_STORE.name, JOB_QUEUE.name
            )
        ) is not None:
            problems.append(f"{not_stored}; {STORAGE_REMEDY}")
        return problems + self._publishing_problems()

    def warnings(self) -> list[str]:
        """Why a worker that is ready refuses writes of some identities."""
        if self.signer_directory is None:
            return []
        return [
            f"identity {name} cannot write: {why}"
            for name, why in self.signer_directory.unavailable_reasons.items()
        ]

    def _publishing_problems(self) -> list[str]:
        """Return how far the published blocks are behind the chain, if that is too far."""
        head, newest = self.snapshots.head, self.last_published.block_number
        if head is None:
            return []
        if newest is None:
            return ["no block is published yet"]
        # Both ways: what another chain left in the stream may be far ahead of this one's head.
        lag_blocks = abs(head - newest)
        age_s = self.last_published.age_s or 0.0
        # Where blocks still come, publishing catches up; every worker would be unready until then.
        if lag_blocks <= self.head_max_lag_blocks or age_s <= self.head_max_age_s:
            return []
        problem = (
            f"no block was published for {age_s:.0f} s, since {self.last_published.stored_at_text}: the newest "
            f"is {newest}, and the chain's head is {head}; `pylon check` looks for the cause"
        )
        return [problem]


class HealthServer:
    """`async with HealthServer(…):` answers `/livez`, `/readyz` and `/metrics`.

    It answers from the worker's main loop: while that is blocked, a probe gets no answer, and fails
    by its timeout.

    Args:
        host: the address to listen on, or the path of a Unix socket to listen on instead.
        port: the port; 0 lets the system choose. Of no effect with a Unix socket.
        health: what the probes ask. That NATS or the chain is away ends no life.
        metrics: what `/metrics` shows.
        metrics_token: to whom it shows them.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self,
        host: str | Path,
        port: int = 0,
        *,
        health: WorkerHealth,
        metrics: WorkerMetrics,
        metrics_token: SecretStr,
    ) -> None:
        self.port = port
        self._host = host
        self._metrics = metrics
        self._token = metrics_token
        self._warnings = health.warnings
        self._probes = {"/livez": health.liveness_problems, "/readyz": health.readiness_problems}
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: the port is taken, or the socket cannot be made.
        """
        options: dict[str, Any] = {
            "process_request": self._respond,
            "open_timeout": REQUEST_TIMEOUT_S,
            "close_timeout": CLOSE_TIMEOUT_S,
            "server_header": None,
        }
        if isinstance(self._host, Path):
            self._server = await unix_serve(_reject_websocket, str(self._host), **options)
            return self
        self._server = await serve(_reject_websocket, self._host, self.port, **options)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        logger.info("Health and metrics on http://%s:%d", self._host, self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _respond(self, connection: ServerConnection, request: Request) -> Response:
        path = request.path.partition("?")[0]
        if path == "/metrics":
            return self._respond_with_metrics(connection, request)
        probe = self._probes.get(path)
        if probe is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "Not Found\n")
        problems = probe()
        if problems:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "\n".join([*problems, ""]))
        warnings = self._warnings() if path == "/readyz" else []
        return connection.respond(HTTPStatus.OK, "\n".join(["ok", *warnings, ""]))

    def _respond_with_metrics(self, connection: ServerConnection, request: Request) -> Response:
        refusal = metrics_access_error(request.headers.get("Authorization"), self._token)
        if refusal is not None:
            return connection.respond(HTTPStatus.FORBIDDEN, f"{refusal}\n")
        response = connection.respond(HTTPStatus.OK, self._metrics.text().decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = CONTENT_TYPE
        return response


async def _reject_websocket(connection: ServerConnection) -> None:
    """Every request is answered before this; the library asks for it."""
    await connection.close()
