"""What an identity may change on the chain, and how far that has come: part of `client.identity`.

`pylon_client._sync.identity_writes` is made from this module: see `scripts/blocking_client.py`.
"""

from collections.abc import Mapping
from typing import Literal

from pylon_client import responses
from pylon_client.contract import writes
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import Hotkey, JobId, MechanismId, Weight
from pylon_client.errors import BasePylonException
from pylon_client.job_poller import JOB_TIMEOUT_S, JobPoller, OnChange
from pylon_client.requester import AsyncListenToJob, AsyncSend
from pylon_client.transport import OperationCall, idempotency_key_or_new

_DEFAULT_MECHANISM = MechanismId(0)


class AsyncIdentityWrites:
    """Writes as the configured identity, on the subnet that is configured for it.

    A write has an idempotency key, which is made for it where none is given: however often the
    client sends it, it is done once.
    """

    def __init__(self, send: AsyncSend, listen_to_job: AsyncListenToJob) -> None:
        self._send = send
        self._listen_to_job = listen_to_job

    async def put_weights(
        self,
        weights: Mapping[Hotkey, Weight],
        mechanism_id: MechanismId = _DEFAULT_MECHANISM,
        *,
        idempotency_key: str | None = None,
    ) -> responses.SetWeightsResponse:
        """Have weights set; returns when they are durable, which is before they are on the chain.

        What comes of them tell `get_job` and `wait_for_job`, by the `job_id` that this returns.
        Newer weights take the place of older ones that were not submitted yet.

        Args:
            weights: relative to each other, none negative and not all zero.
            mechanism_id: which of the subnet's mechanisms they are for.
            idempotency_key: the caller's name for these weights; the same name is the same job.
        """
        key = idempotency_key_or_new(idempotency_key)
        if mechanism_id == _DEFAULT_MECHANISM:
            params = writes.PutWeights(weights=dict(weights))
            return await self._send(
                OperationCall(writes.PUT_WEIGHTS, Scope.IDENTITY, None, params, key)
            )
        of_mechanism = writes.PutMechanismWeights(weights=dict(weights), mechanism_id=mechanism_id)
        return await self._send(
            OperationCall(writes.PUT_MECHANISM_WEIGHTS, Scope.IDENTITY, None, of_mechanism, key)
        )

    async def set_commitment(
        self,
        commitment: bytes | str,
        *,
        idempotency_key: str | None = None,
    ) -> responses.SetCommitmentResponse:
        """Put data on the chain for all to see; returns when it stands there.

        Args:
            commitment: 1 to 128 bytes, or their hexadecimal digits with or without 0x.
            idempotency_key: the caller's name for this write; the same name is the same job.

        Raises:
            PylonBadGateway: the chain has refused it, or was not reached in time.
        """
        text = commitment if isinstance(commitment, str) else f"0x{commitment.hex()}"
        params = writes.SetCommitment(commitment=text)
        key = idempotency_key_or_new(idempotency_key)
        return await self._send(
            OperationCall(writes.SET_COMMITMENT, Scope.IDENTITY, None, params, key)
        )

    async def set_revealed_commitment(
        self,
        commitment: str,
        blocks_until_reveal: int = 360,
        *,
        idempotency_key: str | None = None,
    ) -> responses.SetRevealedCommitmentResponse:
        """Put a text on the chain sealed; returns when it stands there, with its reveal round.

        Args:
            commitment: the text, which the chain itself opens.
            blocks_until_reveal: after how many blocks.
            idempotency_key: the caller's name for this write; the same name is the same job.

        Raises:
            PylonBadGateway: the chain has refused it, or was not reached in time.
        """
        params = writes.SetRevealedCommitment(
            commitment=commitment, blocks_until_reveal=blocks_until_reveal
        )
        key = idempotency_key_or_new(idempotency_key)
        return await self._send(
            OperationCall(writes.SET_REVEALED_COMMITMENT, Scope.IDENTITY, None, params, key)
        )

    async def generate_certificate(
        self, *, idempotency_key: str | None = None
    ) -> responses.GenerateCertificateResponse:
        """Make an Ed25519 key pair for TLS, whose public half a job then puts on the chain.

        The private half is answered here, once, and kept nowhere by Pylon; that is why the answer
        comes before the chain has the public half. `wait_for_job(pair.job_id)` waits for it. A
        request that is sent again, as after a lost answer, makes another pair, and the newest one
        counts.

        Args:
            idempotency_key: sent along as with every write; it does not bring back a pair.

        Raises:
            PylonUnavailable: nothing can sign for the identity.
            PylonBadGateway: its hotkey is not registered on the subnet.
        """
        params = writes.GenerateCertificate()
        key = idempotency_key_or_new(idempotency_key)
        return await self._send(
            OperationCall(writes.GENERATE_CERTIFICATE, Scope.IDENTITY, None, params, key)
        )

    async def get_jobs(
        self,
        *,
        limit: int | None = None,
        before: str | None = None,
        state: Literal["open", "ended"] | None = None,
    ) -> responses.GetJobsResponse:
        """Return the identity's writes that are open or ended in the last days, page by page.

        Open writes come first, those created last first; then the ended ones, the last ended first.
        Each page is sorted by the time of creation, newest first.

        Args:
            limit: how many at most, 1 to 1000; 100 when left out.
            before: `next` of the page before; the first page when left out.
            state: `open` for those that have not ended, `ended` for the others.
        """
        given = {"limit": limit, "before": before, "state": state}
        params = writes.ListJobs.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
        return await self._send(OperationCall(writes.LIST_JOBS, Scope.IDENTITY, params=params))

    async def get_job(self, job_id: JobId) -> responses.GetJobResponse:
        """How far one write of the identity has come.

        Raises:
            PylonNotFound: the identity has no such job, or it ended long ago.
        """
        params = writes.JobParams(job_id=job_id)
        return await self._send(OperationCall(writes.GET_JOB, Scope.IDENTITY, params=params))

    async def wait_for_job(
        self,
        job_id: JobId,
        timeout_s: float = JOB_TIMEOUT_S,
        *,
        on_change: OnChange | None = None,
    ) -> responses.GetJobResponse:
        """Return one write of the identity when it has ended; its `state` says how.

        Changes are received as Pylon announces them. While that does not work, the job is asked
        for, ever more slowly up to once in two seconds. Requests that fail, as while a part of
        Pylon restarts, do not end the wait. Each state is logged at INFO.

        Args:
            job_id: from the response to the write.
            timeout_s: how long to wait; the last request may take longer.
            on_change: called with the job when it is first seen, and after each change.

        Raises:
            PylonJobTimeoutException: the job has not ended in that time, and may still end; the
                wait may be repeated.
            PylonNotFound: the identity has no such job, or it ended long ago.
        """
        waiting = JobPoller(job_id, timeout_s, on_change)
        changes = self._listen_to_job(job_id)
        try:
            while True:
                try:
                    job = await self.get_job(job_id)
                except BasePylonException as error:
                    waiting.observe_error(error)
                else:
                    if waiting.observe(job):
                        return job
                while change := await changes.next(waiting.poll_delay_s(is_live=changes.is_live)):
                    if waiting.observe(change):
                        return change
        finally:
            await changes.close()

    async def cancel_job(self, job_id: JobId) -> responses.GetJobResponse:
        """Give up a write that was not submitted yet; one that has ended stays as it is.

        Raises:
            PylonNotFound: the identity has no such job, or it ended long ago.
            PylonResponseException: with the code CONFLICT; it is on its way to the chain.
        """
        params = writes.JobParams(job_id=job_id)
        return await self._send(OperationCall(writes.CANCEL_JOB, Scope.IDENTITY, params=params))
