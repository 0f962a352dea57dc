"""Liveness and readiness of a worker."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from pylon.blocks.last_published import LastPublished
from pylon.blocks.leadership import Leadership
from pylon.blocks.snapshots import Snapshots
from pylon.chain.chain_guard import ChainGuard
from pylon.common.task_supervisor import TaskSupervisor
from pylon.jetstream.stream_monitor import StreamMonitor
from pylon.jetstream.write_health import STORAGE_REMEDY, WriteHealth
from pylon.jobs.signer_directory import SignerDirectory
from pylon.rpc.request_server import RequestServer
from pylon.worker.loop_thread import LoopThread
from pylon_client.contract.topology import CHANGES, EVENTS, JOB_QUEUE, JOB_STORE
from pylon_client.nats.nats_connection import NatsConnection


class RequestsPort(Protocol):
    """The part of a worker that answers requests."""

    connection: NatsConnection | None
    service: RequestServer | None


@dataclass
class WorkerHealth:
    """The health of a worker, from the state of its parts.

    Attributes:
        snapshots: provide the age of the chain's head.
        last_published: the newest published block.
        write_health: records failed writes to JetStream.
        head_max_age_s: maximum age in seconds of the head of a ready worker, and of the newest
            published block if its lag is too large.
        head_max_lag_blocks: maximum lag of the newest published block behind the head, in blocks.
        connection: connection to NATS for everything but requests; None until it exists.
        request_thread: serves requests over a separate connection; None until it exists.
        request_loop: thread of the request server.
        stream_monitor: recreates missing streams; None until there is a connection.
        leadership: elects the publisher; None until there is a connection.
        essential_tasks: tasks that must not end before the worker stops.
        supervisor: restarts failed parts of the worker.
        guard: checks the chain of the node.
        problems: permanent problems of this process.
        signer_directory: signers of each identity.
    """

    snapshots: Snapshots
    last_published: LastPublished
    write_health: WriteHealth
    head_max_age_s: float
    head_max_lag_blocks: int
    connection: NatsConnection | None = None
    request_thread: RequestsPort | None = None
    request_loop: LoopThread | None = None
    stream_monitor: StreamMonitor | None = None
    leadership: Leadership | None = None
    essential_tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    supervisor: TaskSupervisor | None = None
    guard: ChainGuard | None = None
    problems: list[str] = field(default_factory=list[str])
    signer_directory: SignerDirectory | None = None

    def liveness_problems(self) -> list[str]:
        """Return why the worker should be restarted; empty if it is alive."""
        ended = [f"{task.get_name()} has ended" for task in self.essential_tasks if task.done()]
        failing = [] if self.supervisor is None else self.supervisor.failing
        stalls = [] if self.leadership is None else self.leadership.problems
        blocked = [] if self.request_loop is None else self.request_loop.problems
        failing = [f"{name} fails after every restart" for name in failing]
        return [*ended, *failing, *stalls, *blocked]

    def readiness_problems(self) -> list[str]:
        """Return why the worker is not ready; empty if it is ready."""
        problems = list(self.problems)
        if self.guard is not None:
            problems += self.guard.problems
        requests = None if self.request_thread is None else self.request_thread.connection
        if not all(each is not None and each.is_connected for each in (self.connection, requests)):
            problems.append("no connection to NATS")
        service = None if self.request_thread is None else self.request_thread.service
        if service is None or not service.is_serving:
            problems.append("not serving")
        age_s = self.snapshots.head_age_s
        if age_s is None:
            problems.append("no head of the chain was received yet")
        elif age_s > self.head_max_age_s:
            problems.append(f"the chain's head is {age_s:.0f} s old")
        if self.stream_monitor is not None:
            problems += self.stream_monitor.problems
        not_stored = self.write_health.describe_problem(
            EVENTS.name, CHANGES.name, JOB_STORE.name, JOB_QUEUE.name
        )
        if not_stored is not None:
            problems.append(f"{not_stored}; {STORAGE_REMEDY}")
        return problems + self._publishing_problems()

    def warnings(self) -> list[str]:
        """Return why writes of some identities are refused; they do not affect readiness."""
        if self.signer_directory is None:
            return []
        return [
            f"identity {name} cannot write: {why}"
            for name, why in self.signer_directory.unavailable_reasons.items()
        ]

    def _publishing_problems(self) -> list[str]:
        """Return the lag of the published blocks behind the chain, if it is too large."""
        head, newest = self.snapshots.head, self.last_published.block_number
        if head is None:
            return []
        if newest is None:
            return ["no block is published yet"]
        # Absolute, because events of another chain in the stream may be far ahead of this head.
        lag_blocks = abs(head - newest)
        age_s = self.last_published.age_s or 0.0
        # While blocks are published, the publisher catches up: no worker becomes unready for that.
        if lag_blocks <= self.head_max_lag_blocks or age_s <= self.head_max_age_s:
            return []
        problem = (
            f"no block was published for {age_s:.0f} s, since "
            f"{self.last_published.stored_at_text}: the newest is {newest}, and the chain's head "
            f"is {head}; `pylon check` looks for the cause"
        )
        return [problem]
