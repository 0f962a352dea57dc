"""Handle requests about jobs: accept writes, wait for their outcome, list and cancel jobs."""

import asyncio
import contextlib
import secrets
from typing import Any, Final

from pydantic import BaseModel

from pylon.chain.write_port import ChainWrites
from pylon.jobs.acceptance_context import CHAIN_TIMEOUT_S
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.job_store import JobStore
from pylon.jobs.job_waiter import JobWaiter
from pylon.jobs.signer_directory import SignerDirectory
from pylon.jobs.write_request import WriteRequest
from pylon.rpc.calls import CallResult, HandlerTable, ServiceCall
from pylon.wallets.hotkeys import ed25519_public_key
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job, JobList, JobState
from pylon_client.contract.models import CertificateAlgorithm, NeuronCertificateKeypair
from pylon_client.contract.operations import Params
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

PRIVATE_KEY_BYTES: Final = 32
RESPONSE_MARGIN_S: Final = 0.2
"""Seconds of a caller's timeout that are reserved for the response to reach it."""

_ERROR_CODES: Final = {
    JobState.SUPERSEDED: ErrorCode.SUPERSEDED,
    JobState.CANCELLED: ErrorCode.CANCELLED,
    JobState.EXPIRED: ErrorCode.EXPIRED,
}


class JobHandlers:
    """Handles requests of identities to write to the chain, and about their jobs.

    Args:
        acceptor: accepts jobs.
        store: the job store.
        signers: the signers that run.
        chain: the chain that the jobs are for.
        waiter: wakes the requests that wait for a job.
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

    def register(self, service: HandlerTable) -> None:
        """Register the handler of each operation."""
        service.add(PUT_WEIGHTS, self.put_weights)
        service.add(PUT_MECHANISM_WEIGHTS, self.put_weights)
        service.add(SET_COMMITMENT, self.set_commitment)
        service.add(SET_REVEALED_COMMITMENT, self.set_revealed_commitment)
        service.add(GENERATE_CERTIFICATE, self.generate_certificate)
        service.add(LIST_JOBS, self.list_jobs)
        service.add(GET_JOB, self.get_job)
        service.add(CANCEL_JOB, self.cancel_job)

    async def put_weights(self, call: ServiceCall[PutWeights]) -> CallResult:
        """Accept weights as a durable job; its outcome can be queried by the job's id."""
        params = call.params
        chosen = params.mechanism_id if isinstance(params, PutMechanismWeights) else 0
        count = len(params.weights)
        request = {"weights": dict(params.weights)}
        # Weights of one identity wait for each other; they must not occupy slots of other requests.
        with call.without_permit(required=False):
            job = await self._accept(call, JobKind.WEIGHTS, request, MechanismId(chosen), count)
        missing = self._signers.unavailable_reason(job.identity)
        warning = f"The job waits for a signer until its deadline: {missing}." if missing else None
        return _response(WeightsScheduled(count=count, job_id=job.job_id, warning=warning))

    async def set_commitment(self, call: ServiceCall[SetCommitment]) -> CallResult:
        """Accept a commitment, and respond when it is on the chain."""
        params = call.params
        with call.without_permit():
            job = await self._accept(call, JobKind.COMMITMENT, params.model_dump())
            job = await self._wait_for_success(call, job)
        return _response(CommitmentSet(job_id=job.job_id))

    async def set_revealed_commitment(self, call: ServiceCall[SetRevealedCommitment]) -> CallResult:
        """Accept a timelocked commitment, and respond when it is on the chain."""
        params = call.params
        with call.without_permit():
            job = await self._accept(call, JobKind.REVEALED_COMMITMENT, params.model_dump())
            job = await self._wait_for_success(call, job)
        return _response(
            RevealedCommitmentSet(reveal_round=job.reveal_round or 0, job_id=job.job_id)
        )

    async def generate_certificate(self, call: ServiceCall[GenerateCertificate]) -> CallResult:
        """Return a new key pair, whose public half a job then publishes on the chain.

        Only this response contains the private half. It is sent before the job is submitted, so a
        caller that has stopped waiting does not leave a public key on the chain whose private half
        is lost. Registration is checked first, because few callers query the job afterwards.

        Raises:
            FailureError: NOT_REGISTERED if the identity's hotkey is not registered.
        """
        params = call.params
        with call.without_permit():
            await self._require_registered(call.caller_identity, call.subnet)
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
            # Last step before the response: the request of a caller that stopped waiting has ended.
            await self._acceptor.release(job)
        except BaseException:
            # The job may be released nevertheless, and no caller receives the private half.
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
        """Raise if the chain shows that an identity's hotkey is not registered.

        `SubtensorModule`: `serve_axon_tls` fails with HotKeyNotRegisteredInNetwork. As with other
        writes, the job is accepted if the chain cannot be reached.
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
                "refuse its certificate.",
            )

    async def list_jobs(self, call: ServiceCall[ListJobs]) -> CallResult:
        """Return a page of the jobs of the calling identity."""
        page = await self._store.page(call.caller_identity, call.params)
        return _response(JobList(jobs=[stored.job for stored in page.jobs], next=page.next))

    async def get_job(self, call: ServiceCall[JobParams]) -> CallResult:
        """Return one job of the calling identity."""
        return _response(await self._load_job(call.caller_identity, call.params.job_id))

    async def cancel_job(self, call: ServiceCall[JobParams]) -> CallResult:
        """Cancel one job of the calling identity, if it is not submitted yet; return the job."""
        return _response(await self._acceptor.cancel(call.caller_identity, call.params.job_id))

    async def _accept(
        self,
        call: ServiceCall[Params],
        kind: JobKind,
        request: dict[str, Any],
        mechanism: MechanismId | None = None,
        count: int = 1,
    ) -> Job:
        return await self._acceptor.accept(
            WriteRequest(
                identity=call.caller_identity,
                netuid=call.subnet,
                kind=kind,
                params=request,
                mechanism=mechanism,
                count=count,
                # A repeated request gets another key pair: the private half of the first one was in
                # a response that was lost, and is not stored.
                idempotency_key=None if kind is JobKind.CERTIFICATE else call.idempotency_key,
                submit_after_response=kind is JobKind.CERTIFICATE,
            )
        )

    async def _wait_for_success(self, call: ServiceCall[Params], job: Job) -> Job:
        """Wait until a job has succeeded, and return it; the job continues if the caller leaves.

        Raises:
            FailureError: the outcome of a job that did not succeed; DEADLINE_EXCEEDED if the job
                has not ended, in which case the same request joins it.
        """
        try:
            async with asyncio.timeout(max(call.timeout_s - RESPONSE_MARGIN_S, 0)):
                job = await self._waiter.wait_until_done(job)
        except TimeoutError:
            raise FailureError(
                ErrorCode.DEADLINE_EXCEEDED,
                f"Job {job.job_id} is still in progress; the same request joins it.",
            ) from None
        if job.has_succeeded:
            return job
        failure = job.last_error
        code = _ERROR_CODES.get(job.state) or (
            ErrorCode.CHAIN_REJECTED if failure is None else failure.code
        )
        if FailureError(code, "").failure.retryable:
            # The job has ended: a repeated request would be another job.
            code = ErrorCode.CHAIN_REJECTED
        detail = f"Job {job.job_id} ended as {job.state} after {job.attempts} attempts."
        raise FailureError(code, detail if failure is None else f"{detail} {failure.detail}")

    async def _load_job(self, identity: IdentityName, job_id: JobId) -> Job:
        stored = await self._store.get(identity, job_id)
        if stored is None:
            raise FailureError(ErrorCode.NOT_FOUND, f"Job {job_id} not found.")
        return stored.job


def _response(reply: BaseModel) -> CallResult:
    return CallResult(json_codec.encode(reply))
