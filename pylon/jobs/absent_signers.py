"""What a reader answers to writes while no signer runs: why, instead of nothing at all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from pylon.jobs.signer_directory import SignerDirectory
from pylon.rpc.calls import CallResult, ServiceCall
from pylon.rpc.request_server import SUBSCRIPTION_ERRORS, RequestService
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import JOB_OPERATIONS
from pylon_client.contract.subjects import IdentitySubject
from pylon_client.contract.types import IdentityName

if TYPE_CHECKING:
    from pylon.rpc.request_server import Handler

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 0.5

Unsubscribe = Callable[[], Awaitable[None]]


class AbsentSignerHandlers:
    """Refuses the requests for jobs of identities whose signers are absent.

    Args:
        signers: which of them run.
        identities: all that are configured.

    Attributes:
        by_operation: the handler of each operation on jobs, by its name.
    """

    def __init__(self, signers: SignerDirectory, identities: Iterable[IdentityName]) -> None:
        self._signers = signers
        self._identities = tuple(identities)
        self._unsubscribe_by_identity: dict[IdentityName, Unsubscribe] = {}
        self.by_operation: Final[dict[str, Handler]] = dict.fromkeys(
            JOB_OPERATIONS, self.reject_request
        )

    async def reject_request(self, call: ServiceCall) -> CallResult:
        """Refuse a request for jobs.

        Raises:
            FailureError: MISCONFIGURED while no signer runs, NATS_UNAVAILABLE when one just came.
        """
        if call.identity is None:
            raise TypeError(f"{call.operation} needs an identity")
        self._signers.require_signer(call.identity)
        raise FailureError(
            ErrorCode.NATS_UNAVAILABLE, "A signer has just started; send the request again."
        )

    async def run(self, service: RequestService) -> None:
        """Receive these requests while their signers are absent, and only then, until cancelled."""
        while True:
            for identity in self._identities:
                try:
                    await self._check(service, identity)
                except SUBSCRIPTION_ERRORS as error:
                    logger.info("Subscriptions could not be changed: %s", type(error).__name__)
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def _check(self, service: RequestService, identity: IdentityName) -> None:
        is_absent = self._signers.is_absent(identity)
        if is_absent and identity not in self._unsubscribe_by_identity:
            subjects = [str(IdentitySubject(identity, name)) for name in sorted(JOB_OPERATIONS)]
            self._unsubscribe_by_identity[identity] = await service.add_subjects(subjects)
            logger.warning(
                "Refusing writes of %s: %s", identity, self._signers.unavailable_reason(identity)
            )
        elif not is_absent and identity in self._unsubscribe_by_identity:
            await self._unsubscribe_by_identity.pop(identity)()
            logger.info("A signer for %s is running", identity)
