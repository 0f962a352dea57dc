"""`pylon up` starts, warns and stops within its limits."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pylon.cli.up import supervisor
from pylon.cli.up.up_options import UpOptions
from pylon.worker.settings import WorkerSettings

TRUSTED = "without TLS: use it only in a trusted network"
NO_PASSWORD = "set PYLON_OPEN_ACCESS_TOKEN unless that is intended"
PUBLIC = "can act as any identity: tokens are public"
CONTAINER_GRACE_S = 10.0
"""Default time between SIGTERM and SIGKILL of `docker stop`, in seconds."""


class Hanging:
    """A process that ends only when the time to stop it is over, on a clock of the test's."""

    def __init__(self, clock_s: list[float]) -> None:
        self._clock_s = clock_s
        self._ended = asyncio.Event()

    async def keep_running(self, _ready: asyncio.Event) -> None:
        await self._ended.wait()

    async def stop(self, within_s: float) -> None:
        self._clock_s[0] += within_s
        self._ended.set()


async def test_processes_that_hang_share_the_time_of_a_container_that_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock_s = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock_s[0])
    nats: Any = Hanging(clock_s)
    children: list[Any] = [Hanging(clock_s) for _ in range(5)]
    async with supervisor._run_children(nats, children, asyncio.Event()):
        pass
    assert clock_s[0] == supervisor.STOP_TIMEOUT_S < CONTAINER_GRACE_S


def test_the_devnet_gets_the_options_that_were_given(tmp_path: Path) -> None:
    def argv(**chosen: Any) -> list[str]:
        options = UpOptions(
            home=tmp_path,
            host="127.0.0.1",
            port=8000,
            nats_host="127.0.0.1",
            nats_port=4222,
            devnet_port=9944,
            control_port=None,
            block_time_s=2.0,
            fresh=False,
            **{"devnet_runtime": None, "devnet_tempo": None, "devnet_seed": None, **chosen},
        )
        devnet, *_ = supervisor._children(options, {}, WorkerSettings())
        return list(devnet.argv)

    assert not {"--tempo", "--seed", "--runtime"} & set(argv())
    chosen = argv(devnet_tempo=20, devnet_seed=7, devnet_runtime="finney-424")
    assert chosen[-6:] == ["--runtime", "finney-424", "--tempo", "20", "--seed", "7"]


def exposed_options(home: Path, devnet_port: int | None) -> UpOptions:
    return UpOptions(
        home=home,
        host="127.0.0.1",
        port=8000,
        nats_host="0.0.0.0",
        nats_port=4222,
        devnet_port=devnet_port,
        control_port=None,
        devnet_runtime=None,
        devnet_tempo=None,
        devnet_seed=None,
        block_time_s=12.0,
        fresh=False,
    )


@pytest.mark.parametrize(
    ("token", "devnet_port", "warnings"),
    [
        ("a-token", None, [TRUSTED]),
        ("", None, [TRUSTED, NO_PASSWORD]),
        ("", 9944, [TRUSTED, PUBLIC]),
    ],
)
def test_the_access_of_other_machines_is_logged(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    token: str,
    devnet_port: int | None,
    warnings: list[str],
) -> None:
    settings = WorkerSettings.model_construct(open_access_token=SecretStr(token))
    with caplog.at_level(logging.WARNING):
        supervisor._warn_of_exposed_nats(exposed_options(tmp_path, devnet_port), settings)
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == len(warnings)
    assert all(text in line for line, text in zip(logged, warnings, strict=True))
