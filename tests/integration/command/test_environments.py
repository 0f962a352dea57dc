"""The environments of the processes of `pylon up`, read from the kernel."""

import re
from pathlib import Path

import pytest

from tests.support.product.product import Product, processes_under
from tests.support.product.secret_texts import MARK, secret_of

OPERATOR = {
    "PYLON_METRICS_TOKEN": secret_of("metrics"),
    "PYLON_LOG_LEVEL": "WARNING",
    "PROMETHEUS_DISABLE_CREATED_SERIES": "True",
    "PYLON_ID_OTHER_TOKEN": secret_of("other"),
    "AWS_SECRET_ACCESS_KEY": secret_of("cloud"),
    "BITTENSOR_OF_A_TEST": "1",
    "HTTPS_PROXY": f"http://u:{secret_of('proxy')}@127.0.0.1:1",
    "NO_PROXY": "127.0.0.1",
}


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)


@pytest.fixture
async def environments(tmp_path: Path) -> dict[str, dict[str, str]]:
    """The environments by process."""
    # Variables of the file apply unless the environment overrides them.
    (tmp_path / ".env").write_text(
        f"PYLON_ID_SN1_HOTKEY_PASSWORD={secret_of('hotkey')}\nPYLON_SENTRY_ENVIRONMENT=of-a-test\n"
        "PROMETHEUS_DISABLE_CREATED_SERIES=True\n"
    )
    async with Product(tmp_path, settings=OPERATOR) as product:
        found = {
            name: environment_of(pid)
            for pid, command in processes_under(product.process.pid).items()
            for name in ("pylon worker", "-m bridge", "pylon_devnet", "nats-server")
            if re.search(re.escape(name), command)
        }
    assert set(found) == {"pylon worker", "-m bridge", "pylon_devnet", "nats-server"}
    return found


async def test_each_process_has_the_variables_that_it_reads(
    environments: dict[str, dict[str, str]],
) -> None:
    worker, bridge = environments["pylon worker"], environments["-m bridge"]
    devnet, nats = environments["pylon_devnet"], environments["nats-server"]
    for each in environments.values():
        assert each["PATH"]
        assert not {"AWS_SECRET_ACCESS_KEY", "PYLON_ID_OTHER_TOKEN"} & set(each)

    # No secret at all, and no setting of Pylon's but how to log.
    for each in (devnet, nats):
        assert not [name for name, value in each.items() if MARK in value or "token" in value]
    assert {name for name in devnet if name.startswith("PYLON_")} == {
        "PYLON_ENV_FILE",
        "PYLON_LOG_LEVEL",
    }
    assert not [name for name in nats if name.startswith("PYLON_")]

    assert len(bridge["PYLON_NATS_BRIDGE_PASSWORD"]) == len(worker["PYLON_NATS_WORKER_PASSWORD"])
    assert not {"PYLON_NATS_WORKER_PASSWORD", "PYLON_NATS_READER_PASSWORD"} & set(bridge)
    assert not {"PYLON_NATS_BRIDGE_PASSWORD", "PYLON_OPEN_ACCESS_TOKEN"} & set(worker)
    assert bridge["PYLON_ID_SN1_TOKEN"] == "devnet-sn1-token"
    assert "PYLON_ID_SN1_TOKEN" not in worker
    for each in (worker, bridge, devnet):
        assert each["PYLON_ENV_FILE"] == "", "it would read from .env what it is not to have"
    for each in (worker, bridge):
        assert each["PYLON_SENTRY_ENVIRONMENT"] == "of-a-test"
        assert each["PYLON_METRICS_TOKEN"] == OPERATOR["PYLON_METRICS_TOKEN"]
        assert each["PROMETHEUS_DISABLE_CREATED_SERIES"] == "True"
        assert each["PYLON_WORKER_HEALTH_SOCKET"]
        assert each["HTTPS_PROXY"] == OPERATOR["HTTPS_PROXY"]
    assert worker["PYLON_ID_SN1_WALLET_NAME"] == "sn1"
    assert worker["BITTENSOR_OF_A_TEST"]
    assert worker["BITTENSOR_RUNTIME_CACHE_DIR"]

    # Nothing of wallets, of the chain's nodes or of the worker, `.env` included.
    assert not [name for name in bridge if name.startswith(("BITTENSOR_", "PYLON_BITTENSOR_"))]
    assert not [name for name in bridge if re.search("WALLET|HOTKEY", name)]
