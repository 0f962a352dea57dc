"""Reject write requests on a reader while no signer runs, so that callers get an error at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pylon.jobs.signer_directory import SignerDirectory
from pylon.rpc.calls import CallResult, HandlerTable, ServiceCall
from pylon.rpc.request_server import SUBSCRIPTION_ERRORS, RequestServer
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import JOB_OPERATIONS, OPERATIONS_BY_NAME, Params
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 0.5
"""Seconds between two checks for absent signers."""

Unsubscribe = Callable[[], Awaitable[None]]


class AbsentSignerHandlers:
    """Rejects job requests of identities that no running worker can sign for.

    Args:
        signers: the signers that run.
        identities: all configured identities.
    """

    def __init__(self, signers: SignerDirectory, identities: Iterable[IdentityName]) -> None:
        self._signers = signers
        self._identities = tuple(identities)
        self._unsubscribe_by_identity: dict[IdentityName, Unsubscribe] = {}

    def register(self, service: HandlerTable) -> None:
        """Register the handler of all operations on jobs."""
        for name in JOB_OPERATIONS:
            service.add(OPERATIONS_BY_NAME[name], self.reject_request)

    async def reject_request(self, call: ServiceCall[Params]) -> CallResult:
        """Reject a job request.

        Raises:
            FailureError: MISCONFIGURED if no signer runs; NATS_UNAVAILABLE if one has just started.
        """
        self._signers.require_signer(call.caller_identity)
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, "A signer has just started; send the request again."
        )

    async def run(self, service: RequestServer) -> None:
        """Subscribe to job requests only while their signers are absent, until cancelled."""
        while True:
            for identity in self._identities:
                try:
                    await self._check(service, identity)
                except SUBSCRIPTION_ERRORS as error:
                    logger.info(
                        "Could not change subscriptions to job requests: %s", type(error).__name__
                    )
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def _check(self, service: RequestServer, identity: IdentityName) -> None:
        is_absent = self._signers.is_absent(identity)
        if is_absent and identity not in self._unsubscribe_by_identity:
            subjects = [str(IdentitySubject(identity, name)) for name in sorted(JOB_OPERATIONS)]
            self._unsubscribe_by_identity[identity] = await service.add_subjects(subjects)
            logger.warning(
                "Rejecting writes of %s: %s", identity, self._signers.unavailable_reason(identity)
            )
        elif not is_absent and identity in self._unsubscribe_by_identity:
            await self._unsubscribe_by_identity.pop(identity)()
            logger.info("A signer for %s is running", identity)
