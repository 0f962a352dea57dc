"""`pylon up` warns of what other machines may do where NATS is offered to them."""

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from pylon.cli.up import supervisor
from pylon.cli.up.up_options import UpOptions
from pylon.worker.settings import WorkerSettings

TRUSTED = "without TLS: use it only in a trusted network"
NO_PASSWORD = "set PYLON_OPEN_ACCESS_TOKEN unless that is intended"
PUBLIC = "can act as any identity: tokens are public"


def options(host: str, devnet_port: int | None = None) -> UpOptions:
    return UpOptions(
        home=Path(".pylon"),
        host="127.0.0.1",
        port=8000,
        nats_host=host,
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
    ("host", "is_offered", "url"),
    [
        ("127.0.0.1", False, "nats://127.0.0.1:4222"),
        ("127.0.0.2", False, "nats://127.0.0.2:4222"),
        ("::1", False, "nats://[::1]:4222"),
        ("0.0.0.0", True, "nats://127.0.0.1:4222"),
        ("::", True, "nats://[::1]:4222"),
        ("192.0.2.7", True, "nats://192.0.2.7:4222"),
    ],
)
def test_this_machine_reaches_what_is_offered_to_others(
    host: str, url: str, *, is_offered: bool
) -> None:
    assert (options(host).exposes_nats, options(host).nats_url) == (is_offered, url)


@pytest.mark.parametrize(
    ("token", "devnet_port", "warnings"),
    [
        ("a-token", None, [TRUSTED]),
        ("", None, [TRUSTED, NO_PASSWORD]),
        ("", 9944, [TRUSTED, PUBLIC]),
    ],
)
def test_what_strangers_may_do_is_logged(
    caplog: pytest.LogCaptureFixture, token: str, devnet_port: int | None, warnings: list[str]
) -> None:
    settings = WorkerSettings.model_construct(open_access_token=SecretStr(token))
    with caplog.at_level(logging.WARNING):
        supervisor._warn_of_exposed_nats(options("0.0.0.0", devnet_port), settings)
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == len(warnings)
    assert all(text in line for line, text in zip(logged, warnings, strict=True))
