from pathlib import Path

import pytest

from pylon.cli.up.up_options import UpOptions


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
def test_the_url_of_nats_works_on_this_machine(host: str, url: str, *, is_offered: bool) -> None:
    assert (options(host).exposes_nats, options(host).nats_url) == (is_offered, url)
