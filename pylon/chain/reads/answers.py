"""Which adapter answers which question."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from pylon.chain import questions
from pylon.chain.questions import AnswerT_co, Question
from pylon.chain.reads.certificates import read_certificates
from pylon.chain.reads.commitments import read_commitments, read_revealed
from pylon.chain.reads.drand import read_last_drand_round
from pylon.chain.reads.evm import read_evm_associations
from pylon.chain.reads.extrinsics import read_extrinsics
from pylon.chain.reads.hyperparameters import read_hyperparameters
from pylon.chain.reads.neurons import read_neurons
from pylon.chain.reads.prices import read_prices
from pylon.chain.reads.weights import read_weights_status
from pylon.chain.sdk import Sdk
from pylon_client.contract.models import Block

_Read = Callable[[Sdk, Any, Block], Awaitable[Any]]

READS: Final[Mapping[type[Any], _Read]] = {
    questions.Neurons: read_neurons,
    questions.Commitments: read_commitments,
    questions.RevealedCommitments: read_revealed,
    questions.CertificatesOf: read_certificates,
    questions.Hyperparameters: read_hyperparameters,
    questions.Prices: read_prices,
    questions.EvmAssociations: read_evm_associations,
    questions.Extrinsics: read_extrinsics,
    questions.LastDrandRound: read_last_drand_round,
    questions.WeightsOf: read_weights_status,
}


async def answer(sdk: Sdk, question: Question[AnswerT_co], block: Block) -> AnswerT_co:
    """The answer to a question, from the SDK."""
    read = cast("_Read", READS[type(question)])
    return cast("AnswerT_co", await read(sdk, question, block))
