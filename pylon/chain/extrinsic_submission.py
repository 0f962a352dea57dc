"""Send a signed extrinsic to the transaction pool of a node, once."""

from typing import cast

from bittensor.result import ChainError, chain_error_from_substrate_request

from pylon.chain.call_composition import RawWritingSdk, WritingSdk
from pylon.chain.faults import is_refused_submission
from pylon.chain.write_port import SignedCall
from pylon_client.contract.failures import ErrorCode, FailureError


class SingleSubmission:
    """Sends an extrinsic, and refuses to send it again.

    The owner of a connection retries failed operations; a submission must not be retried.
    """

    def __init__(self, signed: SignedCall) -> None:
        self._signed = signed
        self._is_sent = False

    async def send(self, sdk: WritingSdk) -> ChainError | None:
        """Send the extrinsic.

        Returns:
            The node's refusal; None if the extrinsic is in its pool.

        Raises:
            FailureError: CHAIN_UNAVAILABLE; it was sent before.
            Exception: any other error of the SDK, which does not prove that the node refused it.
        """
        if self._is_sent:
            raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "The connection broke while sending.")
        self._is_sent = True
        try:
            await cast("RawWritingSdk", sdk.raw).submit_extrinsic(_SignedPayload(self._signed))
        except Exception as error:
            if not is_refused_submission(error):
                raise
            known = chain_error_from_substrate_request(error)
            return None if known.name == "AlreadyImported" else known
        return None


class _SignedPayload:
    """A signed extrinsic with the attributes that the SDK sends."""

    def __init__(self, signed: SignedCall) -> None:
        self.data = signed.data
        self.data_hex = "0x" + signed.data.hex()
        self.extrinsic_hash = signed.record.hash
