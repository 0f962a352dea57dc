"""The description of a deployment's state."""

from collections import Counter

from pylon.chain.chain_identity import ChainIdentity
from pylon.cli.reset.reset_state import DeploymentState
from pylon_client.contract.types import IdentityName

CHAIN = ChainIdentity("finney", "0x2f0555cc76fc2840a25a6ea3b9637146")
ALICE, BOB = IdentityName("alice"), IdentityName("bob")


def test_open_jobs_are_counted_by_identity() -> None:
    assert DeploymentState(CHAIN, Counter()).jobs_text == "no jobs that have not ended"
    one = DeploymentState(CHAIN, Counter({ALICE: 1}))
    assert one.jobs_text == "1 job that has not ended (alice: 1)"
    more = DeploymentState(CHAIN, Counter({BOB: 2, ALICE: 1}))
    assert more.jobs_text == "3 jobs that have not ended (alice: 1, bob: 2)"


def test_the_label_is_the_start_of_the_genesis() -> None:
    assert DeploymentState(CHAIN, Counter()).label == "2f0555cc76fc"
