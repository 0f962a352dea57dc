"""Findings about an identity and its hotkey on the chain."""

from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pytest

from pylon.chain.queries.hyperparameter_queries import Hyperparameters
from pylon.chain.queries.neuron_queries import Neurons
from pylon.cli.check import chain_check
from pylon.cli.check.findings import Finding, Level
from pylon.worker.role import WorkerRole
from pylon.worker.settings import WorkerSettings
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import SubnetHyperparameters, SubnetNeurons
from pylon_client.contract.types import BlockNumber, Hotkey, NetUid
from pylon_client.samples import sample_neuron
from tests.support.chain.fake_chain import FakeChain, block_of
from tests.support.product.secret_texts import secret_of

HOTKEY = Hotkey("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
HEAD = block_of(1000)
check_identity: Any = vars(chain_check)["_check_identity"]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WorkerSettings:
    for name, value in {
        "PYLON_IDENTITIES": '["sn1"]',
        "PYLON_ID_SN1_NETUID": "1",
        "PYLON_ID_SN1_TOKEN": secret_of("sn1"),
        "PYLON_ID_SN1_HOTKEY_SS58": HOTKEY,
        "PYLON_BITTENSOR_WALLET_PATH": str(tmp_path),
        "PYLON_WORKER_ROLE": "reader",
    }.items():
        monkeypatch.setenv(name, value)
    return WorkerSettings()


class Chain(FakeChain):
    """A chain with the neuron of the identity on subnet 1."""

    def __init__(self, *, limit_blocks: int = 100, **fields: Any) -> None:
        super().__init__(HEAD.number)
        neuron = sample_neuron(3, hotkey=HOTKEY, **fields)
        netuid = NetUid(1)
        # The fake answers any query of neurons itself if no answer is set.
        self.answers[Neurons(netuid)] = json_codec.encode(
            SubnetNeurons(block=HEAD, neurons={HOTKEY: neuron})
        )
        self.answers[Hyperparameters(netuid)] = SubnetHyperparameters(
            block=HEAD,
            netuid=netuid,
            hyperparameters={chain_check.WEIGHTS_RATE_LIMIT: limit_blocks},
        )


async def collect(findings: AsyncIterable[Finding]) -> list[Finding]:
    return [finding async for finding in findings]


async def check(settings: WorkerSettings, chain: FakeChain) -> list[Finding]:
    (identity,) = settings.identity_settings.values()
    return await collect(check_identity(settings, identity, chain, HEAD))


@pytest.mark.parametrize(
    ("last_update", "limit_blocks", "text"),
    [
        (950, 100, "weights are accepted again in 50 blocks"),
        (900, 100, "weights are accepted now, and then every 100 blocks"),
        (0, 100, "weights are accepted now, and then every 100 blocks"),
        (999, 0, "weights are accepted now"),
    ],
)
async def test_a_registered_hotkey_is_described(
    settings: WorkerSettings, last_update: int, limit_blocks: int, text: str
) -> None:
    chain = Chain(
        limit_blocks=limit_blocks, last_update=BlockNumber(last_update), validator_permit=True
    )
    registered, permit, rate = await check(settings, chain)
    assert registered.text == f"{HOTKEY} is uid 3 of subnet 1"
    assert permit.level is Level.OK
    assert (rate.level, rate.text) == (Level.OK, text)
    assert {one.subject for one in (registered, permit, rate)} == {"identity sn1"}


async def test_a_missing_permit_is_a_warning(settings: WorkerSettings) -> None:
    _, permit, _ = await check(settings, Chain(validator_permit=False))
    assert permit.level is Level.WARNING


async def test_a_hotkey_that_is_not_registered_is_a_failure(settings: WorkerSettings) -> None:
    chain = Chain()
    chain.answers[Neurons(NetUid(1))] = json_codec.encode(SubnetNeurons(block=HEAD, neurons={}))
    (found,) = await check(settings, chain)
    assert found.level is Level.FAILURE
    assert "is not registered on subnet 1" in found.text


async def test_an_unknown_subnet_names_the_variable(settings: WorkerSettings) -> None:
    chain = Chain()
    chain.failing_netuids[NetUid(1)] = FailureError(ErrorCode.NOT_FOUND, "Subnet 1 not found.")
    (found,) = await check(settings, chain)
    assert (found.level, found.text) == (Level.FAILURE, "subnet 1: Subnet 1 not found.")
    assert found.remedy == "correct PYLON_ID_SN1_NETUID"


async def test_a_hotkey_that_cannot_be_opened_is_a_failure_of_a_signer(
    settings: WorkerSettings,
) -> None:
    signer = settings.model_copy(update={"worker_role": WorkerRole.SIGNER})
    found = await check(signer, Chain())
    assert found[0].level is Level.FAILURE
    assert found[0].text.startswith("it cannot write: ")
    assert found[1].text == f"{HOTKEY} is uid 3 of subnet 1"


async def test_an_unknown_network_is_a_failure_of_the_chain(settings: WorkerSettings) -> None:
    unknown = settings.model_copy(update={"bittensor_network": "no-such-network"})
    (found,) = await collect(chain_check.check_chain(unknown))
    assert (found.level, found.subject) == (Level.FAILURE, "chain")
    assert found.remedy == "correct PYLON_BITTENSOR_NETWORK"
