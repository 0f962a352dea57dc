"""Answering the operations that write: accepting jobs, waiting for them, and telling of them."""

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from pylon.chain.write_port import ChainWrites
from pylon.jobs.acceptance_context import CHAIN_TIMEOUT_S
from pylon.jobs.acceptor import JobAcceptor, WriteRequest
from pylon.jobs.job_store import JobStore
from pylon.jobs.job_waiter import JobWaiter
from pylon.jobs.signer_directory import SignerDirectory
from pylon.rpc.calls import CallResult, ServiceCall
from pylon.wallets.hotkeys import ed25519_public_key
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobList, JobState
from pylon_client.contract.models import CertificateAlgorithm, NeuronCertificateKeypair
from pylon_client.contract.types import (
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    PrivateKey,
    PublicKey,
)
from pylon_client.contract.writes import (
    CANCEL_JOB,
    GENERATE_CERTIFICATE,
    GET_JOB,
    LIST_JOBS,
    PUT_MECHANISM_WEIGHTS,
    PUT_WEIGHTS,
    SET_COMMITMENT,
    SET_REVEALED_COMMITMENT,
    CommitmentSet,
    GenerateCertificate,
    JobParams,
    ListJobs,
    PutMechanismWeights,
    PutWeights,
    RevealedCommitmentSet,
    SetCommitment,
    SetRevealedCommitment,
    WeightsScheduled,
)

if TYPE_CHECKING:
    from pylon.rpc.request_server import Handler

PRIVATE_KEY_BYTES: Final = 32
RESPONSE_MARGIN_S: Final = 0.2
"""So much of a caller's time is kept for the answer to reach it."""

_ERROR_CODES: Final = {
    JobState.SUPERSEDED: ErrorCode.SUPERSEDED,
    JobState.CANCELLED: ErrorCode.CANCELLED,
    JobState.EXPIRED: ErrorCode.EXPIRED,
}


class JobHandlers:
    """Answers what identities ask to be written, and what they ask about it.

    Args:
        acceptor: accepts jobs.
        store: where they are written down.
        signers: by whom they could be carried out.
        chain: on which they are.
        waiter: wakes the requests that wait for a job.

    Attributes:
        by_operation: the handler of each operation, by its name.
    """

    def __init__(
        self,
        acceptor: JobAcceptor,
        store: JobStore,
        signers: SignerDirectory,
        chain: ChainWrites,
        waiter: JobWaiter,
    ) -> None:
        self._acceptor = acceptor
        self._waiter = waiter
        self._signers = signers
        self._chain = chain
        self._cancellations: set[asyncio.Task[None]] = set()
        self._store = store
        self.by_operation: Final[dict[str, Handler]] = {
            PUT_WEIGHTS.name: self.put_weights,
            PUT_MECHANISM_WEIGHTS.name: self.put_weights,
            SET_COMMITMENT.name: self.set_commitment,
            SET_REVEALED_COMMITMENT.name: self.set_revealed_commitment,
            GENERATE_CERTIFICATE.name: self.generate_certificate,
            LIST_JOBS.name: self.list_jobs,
            GET_JOB.name: self.get_job,
            CANCEL_JOB.name: self.cancel_job,
        }

    async def put_weights(self, call: ServiceCall) -> CallResult:
        """Weights that are durable; what becomes of them is asked for by the job's id."""
        params = call.params
        if not isinstance(params, PutWeights):
            raise TypeError("these are no weights")
        chosen = params.mechanism_id if isinstance(params, PutMechanismWeights) else 0
        count = len(params.weights)
        request = {"weights": dict(params.weights)}
        # Puts of one lane wait for each other; many of them take no place from other requests.
        with call.without_admission_slot(required=False):
            job = await self._accept(call, JobKind.WEIGHTS, request, MechanismId(chosen), count)
        missing = self._signers.unavailable_reason(job.identity)
        warning = f"It waits for a signer until its deadline: {missing}." if missing else None
        return _response(WeightsScheduled(count=count, job_id=job.job_id, warning=warning))

    async def set_commitment(self, call: ServiceCall) -> CallResult:
        """A commitment that stands on the chain."""
        params = call.params
        if not isinstance(params, SetCommitment):
            raise TypeError("this is no commitment")
        with call.without_admission_slot():
            job = await self._accept(call, JobKind.COMMITMENT, params.model_dump())
            job = await self._wait_for_success(call, job)
        return _response(CommitmentSet(job_id=job.job_id))

    async def set_revealed_commitment(self, call: ServiceCall) -> CallResult:
        """A sealed commitment that stands on the chain."""
        params = call.params
        if not isinstance(params, SetRevealedCommitment):
            raise TypeError("this is no sealed commitment")
        with call.without_admission_slot():
            job = await self._accept(call, JobKind.REVEALED_COMMITMENT, params.model_dump())
            job = await self._wait_for_success(call, job)
        return _response(
            RevealedCommitmentSet(reveal_round=job.reveal_round or 0, job_id=job.job_id)
        )

    async def generate_certificate(self, call: ServiceCall) -> CallResult:
        """Return a new key pair, whose public half a job then puts on the chain.

        The private half is nowhere but in this answer. So it is sent before anything is submitted:
        a caller that does not wait for the chain must not leave a key there that nobody has. What
        the chain would refuse is refused before, since few callers look at the job.

        Raises:
            FailureError: NOT_REGISTERED, where the identity's hotkey is not registered.
        """
        params = call.params
        if not isinstance(params, GenerateCertificate):
            raise TypeError("no certificate is asked for")
        with call.without_admission_slot():
            await self._require_registered(*_identity_and_netuid(call))
        private_key = secrets.token_bytes(PRIVATE_KEY_BYTES)
        public_key = f"0x{ed25519_public_key(private_key).hex()}"
        request = {"algorithm": params.algorithm, "public_key": public_key}
        job = await self._accept(call, JobKind.CERTIFICATE, request)
        answer = _response(
            NeuronCertificateKeypair(
                algorithm=CertificateAlgorithm(params.algorithm),
                public_key=PublicKey(public_key),
                private_key=PrivateKey(f"0x{private_key.hex()}"),
                job_id=job.job_id,
            )
        )
        try:
            # Last before the answer: the request of a caller that stopped waiting has ended by now.
            await self._acceptor.release(job)
        except BaseException:
            # It may be released all the same, and nobody receives the private half.
            self._schedule_cancellation(job)
            raise
        return answer

    def _schedule_cancellation(self, job: Job) -> None:
        async def cancel() -> None:
            with contextlib.suppress(FailureError):
                await self._acceptor.cancel(job.identity, job.job_id)

        task = asyncio.create_task(cancel(), name=f"cancellation of job {job.job_id}")
        self._cancellations.add(task)
        task.add_done_callback(self._cancellations.discard)

    async def _require_registered(self, identity: IdentityName, netuid: NetUid) -> None:
        """Raise where the chain shows that an identity's hotkey is not registered.

        `SubtensorModule`: `serve_axon_tls` fails with HotKeyNotRegisteredInNetwork. As for every
        other write, a chain that cannot be reached refuses nothing.
        """
        hotkey = self._signers.hotkey(identity)
        is_registered = True
        if hotkey is not None:
            with contextlib.suppress(TimeoutError, FailureError):
                async with asyncio.timeout(CHAIN_TIMEOUT_S):
                    is_registered = await self._chain.is_registered(netuid, hotkey)
        if not is_registered:
            raise FailureError(
                ErrorCode.NOT_REGISTERED,
                f"The hotkey of {identity!r} is not registered on subnet {netuid}: the chain would "
                "not take its certificate.",
            )

    async def list_jobs(self, call: ServiceCall) -> CallResult:
        """Some of the jobs of the identity that asks."""
        identity, _ = _identity_and_netuid(call)
        if not isinstance(call.params, ListJobs):
            raise TypeError("no jobs are asked for")
        page = await self._store.page(identity, call.params)
        return _response(JobList(jobs=[stored.job for stored in page.jobs], next=page.next))

    async def get_job(self, call: ServiceCall) -> CallResult:
        """One job of the identity that asks."""
        identity, _ = _identity_and_netuid(call)
        return _response(await self._load_job(identity, _job_id(call)))

    async def cancel_job(self, call: ServiceCall) -> CallResult:
        """One job of the identity that asks, given up if it could be."""
        identity, _ = _identity_and_netuid(call)
        return _response(await self._acceptor.cancel(identity, _job_id(call)))

    async def _accept(
        self,
        call: ServiceCall,
        kind: JobKind,
        request: dict[str, Any],
        mechanism: MechanismId | None = None,
        count: int = 1,
    ) -> Job:
        identity, netuid = _identity_and_netuid(call)
        return await self._acceptor.accept(
            WriteRequest(
                identity=identity,
                netuid=netuid,
                kind=kind,
                params=request,
                mechanism=mechanism,
                count=count,
                # A key pair that is asked for again is another one: the first one's private half
                # went out with an answer that was lost, and is kept nowhere.
                idempotency_key=None if kind is JobKind.CERTIFICATE else call.idempotency_key,
                submit_after_response=kind is JobKind.CERTIFICATE,
            )
        )

    async def _wait_for_success(self, call: ServiceCall, job: Job) -> Job:
        """The job when it has succeeded; it goes on when its caller stops waiting.

        Raises:
            FailureError: how else it ended; DEADLINE_EXCEEDED when it has not, in which case the
                same request joins it.
        """
        try:
            async with asyncio.timeout(max(call.timeout_s - RESPONSE_MARGIN_S, 0)):
                job = await self._waiter.wait_until_done(job)
        except TimeoutError:
            raise FailureError(
                ErrorCode.DEADLINE_EXCEEDED,
                f"Job {job.job_id} is still being worked on; the same request joins it.",
            ) from None
        if job.has_succeeded:
            return job
        why = job.last_error
        code = _ERROR_CODES.get(job.state) or (
            ErrorCode.CHAIN_REJECTED if why is None else why.code
        )
        if FailureError(code, "").failure.retryable:
            # It has ended: asked again, it would be another job.
            code = ErrorCode.CHAIN_REJECTED
        detail = f"Job {job.job_id} ended as {job.state} after {job.attempts} attempts."
        raise FailureError(code, detail if why is None else f"{detail} {why.detail}")

    async def _load_job(self, identity: IdentityName, job_id: JobId) -> Job:
        stored = await self._store.get(identity, job_id)
        if stored is None:
            raise FailureError(ErrorCode.NOT_FOUND, f"Job {job_id} not found.")
        return stored.job


def _identity_and_netuid(call: ServiceCall) -> tuple[IdentityName, NetUid]:
    if call.identity is None or call.netuid is None:
        raise TypeError(f"{call.operation} needs an identity")
    return call.identity, call.netuid


def _job_id(call: ServiceCall) -> JobId:
    if not isinstance(call.params, JobParams):
        raise TypeError("no job is named")
    return call.params.job_id


def _response(reply: BaseModel) -> CallResult:
    return CallResult(wire.encode(reply))
