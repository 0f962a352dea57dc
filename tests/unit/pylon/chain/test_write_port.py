from pylon.chain.write_port import Refusal, RefusalKind, RefusedError
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.types import BlockNumber

REFUSAL = Refusal(ErrorCode.RATE_LIMITED, RefusalKind.RATE_LIMITED, "Too fast.")


def test_the_failure_of_a_refusal_may_name_the_next_allowed_block() -> None:
    failure = REFUSAL.failure(BlockNumber(7))
    assert (failure.name, failure.detail) == ("RATE_LIMITED", "Too fast.")
    assert failure.retry_at_block == 7
    assert REFUSAL.failure().retry_at_block is None


def test_a_refused_error_has_the_code_and_the_detail() -> None:
    error = RefusedError(REFUSAL)
    assert (error.refusal, str(error)) == (REFUSAL, "RATE_LIMITED: Too fast.")
