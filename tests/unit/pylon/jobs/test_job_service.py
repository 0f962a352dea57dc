"""A consumer that fails is restarted, and stops neither the other consumers nor the service."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from pylon.common.task_supervisor import TaskSupervisor
from pylon.jetstream.consumer import Consumer
from pylon.jetstream.write_health import WriteHealth
from pylon.jobs.deadline_enforcer import DeadlineEnforcer
from pylon.jobs.job_service import JobService
from pylon.jobs.signer_directory import SignerDirectory
from pylon.worker.settings import WorkerSettings
from pylon.worker.signing import job_options
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import IdentityName, JobKind
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection
from tests.support.product.eventually import eventually
from tests.support.product.job_deployment import SUBNETS, signing_settings

FAILS = "weights_sn1"


class AbsentChain:
    """A chain that cannot be reached."""

    async def unsupported_writes(self, _: int) -> dict[JobKind, str]:
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")


async def test_a_failing_consumer_is_restarted_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in signing_settings(
        tmp_path, SUBNETS, {name: name for name in SUBNETS}
    ).items():
        monkeypatch.setenv(name, value)
    started = Counter[str]()

    async def run(consumer: Consumer) -> None:
        started[consumer._name] += 1
        if consumer._name == FAILS and started[FAILS] <= 3:
            raise TypeError
        await consumer._stopping.wait()

    async def check(_: DeadlineEnforcer) -> None:
        started["deadlines"] += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(Consumer, "run", run)
    monkeypatch.setattr(DeadlineEnforcer, "run", check)
    settings = WorkerSettings()
    supervisor = TaskSupervisor(initial_delay_s=0.0)
    system = JobService(
        NatsConnection(ConnectionOptions(("nats://127.0.0.1:1",))),
        job_options(settings),
        cast("Any", AbsentChain()),
        {IdentityName(name): cast("Any", object()) for name in SUBNETS},
        SignerDirectory(settings.identity_settings, 0.0),
        cast("Any", None),
        supervisor,
        WriteHealth(),
    )
    running = asyncio.create_task(system.run())
    await eventually(lambda: started[FAILS] == 4)
    assert not running.done()
    assert supervisor.restarts[FAILS] == 3
    others = {f"{kind}_{name}" for name in SUBNETS for kind in JobKind} - {FAILS}
    assert {name: started[name] for name in others | {"deadlines"}} == dict.fromkeys(
        others | {"deadlines"}, 1
    )
    system.stop()
    await running
